//! Every page of the repository: links lead somewhere, paths exist, command lines are ones that the programs take, Rust
//! code is compiled, and what is generated is not stale. With `TEALIGHT_BLESS` set, what is generated is written again.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use clap::Parser as _;
use clap::error::ErrorKind;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use tealight_tests::root;

/// The pages in git, and those that will be: paths from the root.
fn pages() -> Vec<PathBuf> {
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"];
    let output = Command::new("git").args(listed).current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut pages: Vec<PathBuf> = text.lines().map(PathBuf::from).filter(|page| root().join(page).exists()).collect();
    pages.sort();
    pages.dedup();
    assert!(pages.len() >= 25, "only {} pages are found", pages.len());
    pages
}

/// What a page consists of, as far as it is tested.
#[derive(Default)]
struct Page {
    /// Where links and pictures lead.
    links: Vec<String>,
    /// The names by which links lead to headings.
    anchors: BTreeSet<String>,
    /// Code in lines of text.
    words: Vec<String>,
    /// Language and text of code blocks.
    blocks: Vec<(String, String)>,
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

fn parse(page: &Path) -> Page {
    let mut text = read(page);
    // mdBook puts the file there.
    while let Some(include) = text.find("{{#include ") {
        let end = include + text[include..].find("}}").expect("an include has an end");
        let file = page.parent().unwrap().join(text[include + "{{#include ".len()..end].trim());
        text.replace_range(include..end + 2, &read(&file));
    }
    let (mut parsed, mut heading, mut block) = (Page::default(), None::<String>, None::<(String, String)>);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                parsed.links.push(dest_url.to_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let again = (1..).map(|n| format!("{slug}-{n}"));
                let name = std::iter::once(slug.clone()).chain(again).find(|name| !parsed.anchors.contains(name));
                parsed.anchors.extend(name);
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                let language =
                    if let CodeBlockKind::Fenced(language) = kind { language.to_string() } else { String::new() };
                block = Some((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => parsed.blocks.extend(block.take()),
            Event::Text(text) => {
                if let Some((_, code)) = &mut block {
                    code.push_str(&text);
                } else if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Code(code) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&code);
                }
                parsed.words.push(code.to_string());
            }
            _ => {}
        }
    }
    parsed
}

/// The name of a heading, as repository hosts and mdBook make it.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// `path` without `.` and `..`; `None` if it leaves the root.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if !normal.pop() => return None,
            Component::Normal(name) => normal.push(name),
            _ => {}
        }
    }
    Some(normal)
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages() {
        for link in parse(&page).links {
            // Nothing is fetched.
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { Some(page.clone()) } else { normal(&page.parent().unwrap().join(file)) };
            let Some(target) = target.filter(|target| root().join(target).exists()) else {
                wrong.push(format!("{}: `{link}` leads nowhere", page.display()));
                continue;
            };
            // The book is published by itself.
            if page.starts_with("docs/src") && !target.starts_with("docs/src") {
                wrong.push(format!("{}: `{link}` leaves the book", page.display()));
            }
            if anchor.is_some_and(|anchor| !parse(&target).anchors.contains(anchor)) {
                wrong.push(format!("{}: `{link}` leads to no heading", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 50, "only {seen} links are found");
}

#[test]
fn every_chapter_stands_in_the_summary_of_the_book() {
    let links: BTreeSet<PathBuf> = parse(Path::new("docs/src/SUMMARY.md")).links.iter().map(PathBuf::from).collect();
    let chapters = pages().into_iter().filter_map(|page| page.strip_prefix("docs/src").ok().map(Path::to_path_buf));
    let chapters: BTreeSet<PathBuf> = chapters.filter(|page| page != Path::new("SUMMARY.md")).collect();
    assert_eq!(links, chapters);
}

#[test]
fn every_path_that_a_page_names_exists() {
    let folders: BTreeSet<String> = ["boards", "docs", "examples", "models", "runtime", "tests", "xtask", ".ci"]
        .into_iter()
        .map(String::from)
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages().into_iter().filter(|page| page != Path::new("CHANGELOG.md")) {
        for word in parse(&page).words {
            let Some((folder, rest)) = word.split_once('/') else { continue };
            // `tests/golden/ops/OPERATOR.safetensors` is a pattern.
            let pattern = word.contains(['*', '{', '…', ' ', '<']) || word.split(['/', '.']).any(is_placeholder);
            if !folders.contains(folder) || pattern {
                continue;
            }
            seen += 1;
            if !root().join(folder).join(rest).exists() {
                wrong.push(format!("{}: there is no `{word}`", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 30, "only {seen} paths are found");
}

/// Whether `word` stands for another: `NAME`.
fn is_placeholder(word: &str) -> bool {
    word.len() > 1 && word != "README" && word != "SPEC" && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The words of each line of a shell that calls one of our programs: `tealight` or `xtask`, and its arguments.
fn command_lines(shell: &str) -> Vec<Vec<String>> {
    let joined = shell.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim_start_matches("$ "));
    let split = lines.filter_map(|line| shell_words::split(line.split(" #").next()?).ok());
    split.filter_map(|words| ours(&words)).collect()
}

/// The program's name and its arguments, if `words` calls one of ours.
fn ours(words: &[String]) -> Option<Vec<String>> {
    // Variables stand before the program.
    let start = words.iter().position(|word| !word.contains('='))?;
    let words = &words[start..];
    let (program, arguments) = match words.first()?.as_str() {
        "cargo" if matches!(words.get(1)?.as_str(), "xtask" | "tealight") => (words[1].clone(), &words[2..]),
        "tealight" | "target/release/tealight" => ("tealight".into(), &words[1..]),
        _ => return None,
    };
    Some(std::iter::once(program).chain(arguments.iter().cloned()).collect())
}

/// Why a program would not take a command line; `whole` if nothing may be left out of it.
fn refused(words: &[String], whole: bool) -> Option<String> {
    if words[0] == "tealight" {
        let error = tealight_cli::Cli::try_parse_from(words).err()?;
        let fine = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
            ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !whole,
            _ => false,
        };
        return (!fine).then(|| error.to_string());
    }
    // The program reads its arguments up to `--help`, and refuses what it does not know; then it does nothing.
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(&words[1..]).arg("--help").output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for page in pages() {
        let parsed = parse(&page);
        let shells = parsed.blocks.iter().filter(|(language, _)| matches!(language.as_str(), "sh" | "console"));
        let mut lines: Vec<(Vec<String>, bool)> =
            shells.flat_map(|(_, shell)| command_lines(shell)).map(|words| (words, true)).collect();
        // In a line of text a command may be named without what it needs. Brackets are a synopsis.
        let named = parsed.words.iter().filter(|word| !word.contains(['[', '…', '|']) && !word.contains(" help "));
        lines.extend(named.flat_map(|word| command_lines(word)).map(|words| (words, false)));
        for (words, whole) in lines {
            if words.len() < 2 || !seen.insert((words.clone(), whole)) {
                continue;
            }
            if let Some(error) = refused(&words, whole) {
                wrong.push(format!("{}: `{}`: {error}", page.display(), words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() >= 80, "only {} command lines are found", seen.len());
}

#[test]
fn a_command_line_with_an_option_that_there_is_not_is_refused() {
    for line in ["cargo xtask run --modle digits", "cargo xtask rnu", "tealight run m.safetensors --inptu a.npy"] {
        let words = command_lines(line).remove(0);
        assert!(refused(&words, false).is_some(), "{line}");
    }
}

/// Where a page's Rust code is compiled: a line `#[doc = include_str!("…/PAGE")]` in the front page of a crate.
const COMPILED: &[&str] = &[
    "tests/src/lib.rs",
    "tests/candle/src/lib.rs",
    "runtime/audio/src/lib.rs",
    "runtime/cli/src/lib.rs",
    "runtime/sensor/src/lib.rs",
];

#[test]
fn every_page_with_rust_code_is_compiled() {
    let mut included = BTreeSet::new();
    for file in COMPILED {
        let text = read(Path::new(file));
        let names = text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split_once('"'));
        let folder = Path::new(file).parent().unwrap();
        included.extend(names.filter_map(|(name, _)| normal(&folder.join(name))));
    }
    for page in pages() {
        let rust = |language: &str| language.split(',').next() == Some("rust");
        if parse(&page).blocks.iter().any(|(language, _)| rust(language)) {
            assert!(
                included.contains(&page),
                "{} has Rust code, which no crate of {COMPILED:?} includes",
                page.display()
            );
        }
    }
    assert!(included.len() >= 4, "only {included:?}");
}

#[test]
fn the_front_page_is_short() {
    let lines = read(Path::new("README.md")).lines().count();
    assert!(lines <= 130, "{lines} lines; details belong into docs/src");
}

#[test]
fn the_changelog_has_each_kind_of_change_once_a_release() {
    let kinds = ["### Added", "### Changed", "### Deprecated", "### Removed", "### Fixed", "### Security"];
    let text = read(Path::new("CHANGELOG.md"));
    let releases: Vec<&str> = text.split("\n## ").skip(1).collect();
    assert!(!releases.is_empty(), "there is no release");
    for release in releases {
        let name = release.lines().next().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for heading in release.lines().filter(|line| line.starts_with("###")) {
            assert!(kinds.contains(&heading), "`{heading}` under {name} is no kind of change");
            assert!(seen.insert(heading), "`{heading}` stands twice under {name}");
        }
    }
}

/// What is generated stands between two comments of a page, of which the first begins so.
const BEGIN: &str = "<!-- Made from ";
const END: &str = "<!-- End of what is made. -->";

#[test]
fn the_list_of_operators_is_the_compilers() {
    let lines = tealight_compiler::OPERATORS.lines().map(|line| {
        let (kind, names) = line.split_once(": ").unwrap();
        let names: Vec<String> = names.split(", ").map(|name| format!("`{name}`")).collect();
        format!("- {kind}: {}\n", names.join(", "))
    });
    is_generated("docs/src/operators.md", &lines.collect::<String>());
}

/// A table of what becomes of each operator of `xtask/tests/operators.txt` under `title`, and how many are compiled.
/// `compiled` has a line for each kind.
fn operator_table(title: &str, compiled: &str) -> String {
    let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, names) in compiled.lines().map(|line| line.split_once(": ").unwrap()) {
        for name in names.split(", ") {
            kinds.entry(name).or_default().push(kind);
        }
    }
    let text = read(Path::new("xtask/tests/operators.txt"));
    let (_, set) = text.split_once(&format!("[{title}]\n")).unwrap();
    let (mut rows, mut seen, mut count) = (String::new(), BTreeSet::new(), 0);
    for line in set.lines().take_while(|line| !line.is_empty()) {
        let (name, refused) = line.split_once(": ").map_or((line, None), |(name, why)| (name, Some(why)));
        assert!(seen.insert(name), "{name} is there twice");
        let what = match (kinds.get(name), refused) {
            (Some(kinds), None) => {
                count += 1;
                kinds.join("; ")
            }
            (None, Some(why)) => format!("refused: {why}"),
            (Some(_), Some(_)) => panic!("{name} is compiled: xtask/tests/operators.txt says that it is refused"),
            (None, None) => panic!("{name} is not compiled: xtask/tests/operators.txt must say why"),
        };
        rows += &format!("| `{name}` | {what} |\n");
    }
    assert!(seen.len() > 100, "{title} has only {} operators", seen.len());
    format!("## {title}\n\n{count} of {} are compiled.\n\n| operator | here |\n|---|---|\n{rows}", seen.len())
}

#[test]
fn the_operators_of_the_formats_are_those_of_the_importers() {
    let tflm = operator_table("TensorFlow Lite Micro", tealight_compiler::OPERATORS);
    let onnx = operator_table("ONNX, operator set 22", &tealight_compiler::onnx_operators());
    is_generated("docs/src/operator-sets.md", &format!("{tflm}\n{onnx}"));
}

#[test]
fn the_tables_of_networks_are_those_of_the_list() {
    is_generated("docs/src/networks.md", &tealight_harness::networks::page(&xtask::Context::new().unwrap()).unwrap());
}

/// Compares what is between the comments of a page, or writes it.
fn is_generated(page: &str, wanted: &str) {
    let page = Path::new(page);
    let text = read(page);
    let (before, rest) = text.split_at(text.find(BEGIN).unwrap());
    let (comment, rest) = rest.split_at(rest.find('\n').unwrap());
    let (_, after) = rest.split_at(rest.find(END).unwrap());
    let expected = format!("{before}{comment}\n\n{wanted}\n{after}");
    if std::env::var_os("TEALIGHT_BLESS").is_some() {
        std::fs::write(root().join(page), expected).unwrap();
    } else {
        assert!(text == expected, "stale: `TEALIGHT_BLESS=1 cargo test --package xtask --test docs` writes it");
    }
}
