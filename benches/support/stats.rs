//! Order statistics of small samples. Pure.

/// Median and middle half of a sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// Of a sample in any order; zeros if it is empty.
    pub fn of(mut sample: Vec<f64>) -> Self {
        sample.sort_by(f64::total_cmp);
        Self {
            low: quantile(&sample, 0.25),
            median: quantile(&sample, 0.5),
            high: quantile(&sample, 0.75),
        }
    }

    /// As text with `digits` after the point: `14.9 (14.2–15.3)`.
    pub fn show(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$}–{:.digits$})",
            self.median, self.low, self.high
        )
    }
}

/// The value below which `share` of a sorted sample lies, interpolated.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = share * last as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (at - at.floor())
}

/// A 95 % interval of the median without assumptions: the order statistics at n/2 ± 0.98 √n.
pub fn interval_of_median(mut sample: Vec<f64>) -> (f64, f64, f64) {
    sample.sort_by(f64::total_cmp);
    let count = sample.len() as f64;
    let half = 0.98 * count.sqrt() / count;
    (
        quantile(&sample, (0.5 - half).max(0.0)),
        quantile(&sample, 0.5),
        quantile(&sample, (0.5 + half).min(1.0)),
    )
}
