//! Things found by name. The map beneath is the same whatever the things are, so that it is compiled once.

use std::collections::HashMap;

/// Values by name, each name once.
#[derive(Debug)]
pub(crate) struct ByName<T> {
    places: HashMap<String, usize>,
    values: Vec<T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T> ByName<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.values.get(*self.places.get(name)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Adds a value, or puts it in the place of the one of its name, which is returned.
    pub(crate) fn insert(&mut self, name: &str, value: T) -> Option<T> {
        match self.places.get(name) {
            Some(at) => Some(std::mem::replace(&mut self.values[*at], value)),
            None => {
                self.places.insert(name.to_owned(), self.values.len());
                self.values.push(value);
                None
            }
        }
    }
}

/// The order of `count` things, equal ones as they stand. One sort for all kinds of things, so that it is compiled once.
pub(crate) fn order(
    count: usize,
    compare: &mut dyn FnMut(usize, usize) -> std::cmp::Ordering,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| compare(*a, *b));
    order
}
