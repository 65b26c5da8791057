//! Where a file is for GitHub: an annotation finds its line in a pull request only by a path from the root of the repository.

use std::path::{Component, Path, PathBuf};

use sink_schema::{Color, Diagnostic, Diagnostics, Format};

/// The workflow's own word for the root.
const WORKSPACE: &str = "GITHUB_WORKSPACE";

/// Draws all mistakes as annotations.
pub(crate) fn annotations(all: &Diagnostics) -> String {
    all.iter().map(|mistake| annotation(all, mistake)).collect()
}

/// Draws one mistake as an annotation.
pub(crate) fn annotation(all: &Diagnostics, mistake: &Diagnostic) -> String {
    let mut mistake = mistake.clone();
    mistake.path = from_root(&mistake.path).unwrap_or(mistake.path);
    all.render_one(&mistake, Format::Github, Color::Never)
}

/// A path as the repository has it; `None` if the file is not in one.
fn from_root(path: &str) -> Option<String> {
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    let file = plain(&here.join(path));
    let workspace =
        std::env::var_os(WORKSPACE).and_then(|root| Path::new(&root).canonicalize().ok());
    let root = match workspace.filter(|root| file.starts_with(root)) {
        Some(root) => root,
        None => here
            .ancestors()
            .find(|folder| folder.join(".git").exists())?
            .to_owned(),
    };
    let inside = file.strip_prefix(root).ok()?;
    Some(inside.to_string_lossy().replace('\\', "/"))
}

/// A path without `.` and `..`, by its words alone: the file need not be there.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        plain
    })
}
