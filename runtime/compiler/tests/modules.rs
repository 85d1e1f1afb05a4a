//! The compiler's modules depend on each other in one direction: errors are at the bottom, then the representation,
//! then importers, passes, lowering, storing and planning, then the driver.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// Collects the paths of modules that a module names, by `use` or in place. Paths inside the arguments of macros are
/// not seen.
#[derive(Default)]
struct Named {
    paths: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    /// `pub(crate)` is not a dependency.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

impl Named {
    fn tree(&mut self, tree: &syn::UseTree, above: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                above.push(path.ident.to_string());
                self.tree(&path.tree, above);
                above.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, above)),
            syn::UseTree::Name(name) => self.leaf(above, &name.ident),
            syn::UseTree::Rename(name) => self.leaf(above, &name.ident),
            syn::UseTree::Glob(_) => self.paths.push(above.clone()),
        }
    }

    fn leaf(&mut self, above: &[String], name: &syn::Ident) {
        self.paths.push(above.iter().cloned().chain([name.to_string()]).collect());
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|only| only == "test")
    };
    attributes.iter().any(is_test)
}

type Modules = BTreeMap<Vec<String>, Vec<Vec<String>>>;

/// Reads the module `name` of `file`, and its submodules in other files.
fn read(file: &Path, folder: &Path, name: Vec<String>, modules: &mut Modules) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&text).unwrap();
    let mut named = Named::default();
    named.visit_file(&parsed);
    for item in &parsed.items {
        let syn::Item::Mod(item) = item else { continue };
        if item.content.is_some() || is_test(&item.attrs) {
            continue;
        }
        let child = item.ident.to_string();
        let below = folder.join(&child);
        let files: [PathBuf; 2] = [folder.join(format!("{child}.rs")), below.join("mod.rs")];
        let file = files.iter().find(|file| file.exists()).unwrap();
        read(file, &below, name.iter().cloned().chain([child]).collect(), modules);
    }
    modules.insert(name, named.paths);
}

/// Returns the modules that each module names by a path from the crate or from a parent module. Paths to its own
/// submodules (`reader::import`) do not count.
fn edges(modules: &Modules) -> BTreeMap<String, BTreeSet<String>> {
    let mut edges = BTreeMap::new();
    for (name, paths) in modules {
        let mut targets = BTreeSet::new();
        for path in paths {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let absolute: Vec<String> = match path.first().map(String::as_str) {
                Some("crate") => path[1..].to_vec(),
                Some("super") if ups <= name.len() => [&name[..name.len() - ups], &path[ups..]].concat(),
                _ => continue,
            };
            let deepest = (0..=absolute.len()).rev().find(|&n| modules.contains_key(&absolute[..n])).unwrap();
            if absolute[..deepest] != name[..] {
                targets.insert(absolute[..deepest].join("::"));
            }
        }
        edges.insert(name.join("::"), targets);
    }
    edges
}

/// Repeatedly removes the modules that name no other, and returns the rest: circles, and modules that lead to them.
fn circular(mut edges: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let done: Vec<String> =
            edges.iter().filter(|(_, targets)| targets.is_empty()).map(|(name, _)| name.clone()).collect();
        if done.is_empty() {
            return edges.into_iter().map(|(name, targets)| format!("{name} -> {targets:?}")).collect();
        }
        edges.retain(|name, _| !done.contains(name));
        edges.values_mut().for_each(|targets| targets.retain(|target| !done.contains(target)));
    }
}

#[test]
fn no_modules_depend_on_each_other_in_a_circle() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = Modules::new();
    read(&source.join("lib.rs"), &source, Vec::new(), &mut modules);
    assert!(modules.len() > 50, "only {} modules were read", modules.len());
    let mut edges = edges(&modules);
    // The root re-exports its submodules, so no submodule names the root.
    let to_root: Vec<_> = edges.iter().filter(|(_, targets)| targets.contains("")).map(|(name, _)| name).collect();
    assert!(to_root.is_empty(), "these name re-exports of the crate: {to_root:?}");
    edges.remove("");
    assert!(edges["driver"].contains("ir::graph") && edges["ir::builder"].contains("diag"), "{edges:?}");
    let circular = circular(edges);
    assert!(circular.is_empty(), "modules in circles, or leading to them:\n{}", circular.join("\n"));
}

#[test]
fn finds_a_circular_dependency() {
    let edge = |to: &[&str]| to.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let chain = BTreeMap::from([("a".into(), edge(&["b"])), ("b".into(), edge(&["c"])), ("c".into(), edge(&[]))]);
    assert!(circular(chain.clone()).is_empty());
    let mut circle = chain;
    circle.insert("c".into(), edge(&["b"]));
    assert_eq!(circular(circle).len(), 3);
}
