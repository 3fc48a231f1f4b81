//! Finds the modules of a package and the items in them, as the compiler would.

use std::path::{Path, PathBuf};

use syn::{Item, ItemMod};

use super::package;

/// A crate: a tree of modules.
#[derive(Debug)]
pub(crate) struct Crate {
    /// The file of its root.
    root: PathBuf,
}

/// The items of a module and the file that they are in.
pub(crate) struct Found {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// The items.
    pub(crate) items: Vec<Item>,
}

impl Crate {
    /// The crate that a file belongs to, and the path of the file's module in it.
    pub(crate) fn of(file: &Path) -> Option<(Crate, Vec<String>)> {
        let file = file.canonicalize().ok()?;
        let alone = || Some((Crate { root: file.clone() }, Vec::new()));
        let Some(package) = package(&file) else {
            return alone();
        };
        let Ok(inside) = file.strip_prefix(package.join("src")) else {
            return alone();
        };
        let roots = ["lib.rs", "main.rs"].map(|name| package.join("src").join(name));
        let Some(root) = roots.into_iter().find(|root| root.is_file()) else {
            return alone();
        };
        if inside.starts_with("bin") || inside == Path::new("main.rs") {
            return alone();
        }
        let parts = inside.with_extension("");
        let mut path: Vec<String> = parts
            .iter()
            .filter_map(|part| Some(part.to_str()?.to_owned()))
            .collect();
        if matches!(path.last().map(String::as_str), Some("mod")) {
            path.pop();
        }
        if matches!(path.as_slice(), [only] if only == "lib") {
            path.clear();
        }
        Some((Crate { root }, path))
    }

    /// The module at a path from the root.
    pub(crate) fn module(&self, path: &[String]) -> Option<Found> {
        let mut module = load(&self.root)?;
        let mut folder = self.root.parent()?.to_path_buf();
        for name in path {
            let ItemMod { content, .. } = module.items.iter().find_map(|item| match item {
                Item::Mod(found) if found.ident == name => Some(found.clone()),
                _ => None,
            })?;
            module = match content {
                Some((_, items)) => Found { items, ..module },
                None => load(&folder.join(format!("{name}.rs")))
                    .or_else(|| load(&folder.join(name).join("mod.rs")))?,
            };
            folder.push(name);
        }
        Some(module)
    }
}

fn load(path: &Path) -> Option<Found> {
    let text = std::fs::read_to_string(path).ok()?;
    let items = syn::parse_file(&text).ok()?.items;
    Some(Found {
        path: path.to_path_buf(),
        text,
        items,
    })
}
