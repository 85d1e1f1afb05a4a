//! A newer program than a Debian release has, from its backports, unpacked into a folder of its own.
//!
//! Nothing is installed and no password is needed: apt works on lists and archives of its own, with this system's
//! sources, each entry of the release followed by one of its backports, and with the system's list of packages less
//! those of QEMU. So it fetches the programs asked for and those libraries that the system lacks, and replaces nothing.

use crate::context::{run_quietly, try_read};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Packages that the new ones stand in for.
const REPLACED: &str = "qemu-";

/// Unpacks `package` and what it needs and this system lacks into `folder`, which is whole or not there.
///
/// # Errors
/// This is no Debian release, or its backports do not have the package or are out of reach.
pub fn unpack(shell: &Shell, package: &str, folder: &Path) -> Result<()> {
    let release = release().context("this system is no Debian release with backports")?;
    if try_read(cmd!(shell, "apt-get --version")).is_none() {
        bail!("this system has no apt-get to take it from {release}'s backports");
    }
    let parent = folder.parent().context("the folder has no parent")?;
    std::fs::create_dir_all(parent)?;
    let work = tempfile::Builder::new().prefix("backports-").tempdir_in(parent)?;
    let (sources, lists, archives) =
        (work.path().join("sources"), work.path().join("lists"), work.path().join("cache"));
    for folder in [&sources, &lists.join("partial"), &archives.join("archives/partial")] {
        std::fs::create_dir_all(folder)?;
    }
    copy_sources(&release, &sources)?;
    let status = work.path().join("status");
    let packages = std::fs::read_to_string("/var/lib/dpkg/status").context("cannot read dpkg's list of packages")?;
    std::fs::write(&status, without(&packages, REPLACED))?;
    let options = [
        "Dir::Etc::SourceList=/dev/null".into(),
        format!("Dir::Etc::SourceParts={}", sources.display()),
        format!("Dir::State::Lists={}", lists.display()),
        format!("Dir::State::Status={}", status.display()),
        format!("Dir::Cache={}", archives.display()),
        // The locks guard the system's own folders, which are not touched.
        "Debug::NoLocking=1".into(),
        "Acquire::Languages=none".into(),
        "APT::Update::Error-Mode=any".into(),
    ];
    // Sources of others may have no backports, which is an error of the update and does no harm to what follows.
    let updated = apt(shell, &options, &["update"]);
    let suite = format!("{release}-backports");
    let words = ["install", "--download-only", "--yes", "--no-install-recommends", "--target-release", &suite, package];
    apt(shell, &options, &words).or_else(|error| updated.and(Err(error)))?;
    let root = work.path().join("root");
    for archive in
        entries(&archives.join("archives"))?.iter().filter(|file| file.extension().is_some_and(|e| e == "deb"))
    {
        run_quietly(cmd!(shell, "dpkg-deb --extract {archive} {root}"))?;
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::rename(&root, folder).with_context(|| format!("cannot move {package} to {}", folder.display()))
}

/// Runs apt-get; the error is the first that it prints.
fn apt(shell: &Shell, options: &[String], words: &[&str]) -> Result<()> {
    let options = options.iter().flat_map(|option| ["-o", option]);
    let output = cmd!(shell, "apt-get {options...} {words...}").quiet().ignore_status().output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(said.trim());
        bail!("`apt-get {}` for its backports failed: {first}", words.first().unwrap_or(&""));
    }
    Ok(())
}

/// The name of this system's Debian release.
fn release() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_string())
    };
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME")).flatten()
}

/// Copies apt's sources, with those of the backports added.
fn copy_sources(release: &str, folder: &Path) -> Result<()> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(entries(Path::new("/etc/apt/sources.list.d"))?);
    for file in files.iter().filter(|file| file.is_file()) {
        let added: fn(&str, &str) -> String = match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => added_lines,
            Some("sources") => added_stanzas,
            _ => continue,
        };
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let text = format!("{text}\n\n{}", added(&text, release));
        std::fs::write(folder.join(file.file_name().unwrap_or_default()), text)?;
    }
    Ok(())
}

/// The paths in a folder, in order; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// For each line of the release (`deb [OPTIONS] URI RELEASE COMPONENT…`) one of its backports.
fn added_lines(text: &str, release: &str) -> String {
    let mut added = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"deb") && words.contains(&release) {
            let suite = format!("{release}-backports");
            let words: Vec<&str> = words.into_iter().map(|word| if word == release { &suite } else { word }).collect();
            added += &words.join(" ");
            added.push('\n');
        }
    }
    added
}

/// For each stanza of the release (`Suites: RELEASE …`) one of its backports.
fn added_stanzas(text: &str, release: &str) -> String {
    let mut added = String::new();
    for stanza in text.split("\n\n") {
        let suites =
            |line: &str| line.strip_prefix("Suites:").map(|suites| suites.split_whitespace().any(|s| s == release));
        if stanza.lines().any(|line| suites(line) == Some(true)) {
            for line in stanza.lines() {
                match suites(line) {
                    Some(_) => writeln!(added, "Suites: {release}-backports"),
                    None => writeln!(added, "{line}"),
                }
                .ok();
            }
            added.push('\n');
        }
    }
    added
}

/// dpkg's list of packages without those whose names begin with `prefix`; the rest with no more than that they are
/// there, so that none needs what is left out.
fn without(packages: &str, prefix: &str) -> String {
    const KEPT: &[&str] = &["Package:", "Status:", "Architecture:", "Multi-Arch:", "Version:", "Provides:"];
    let mut list = String::new();
    for stanza in packages.split("\n\n") {
        let name = stanza.lines().find_map(|line| line.strip_prefix("Package: "));
        if name.is_some_and(|name| !name.starts_with(prefix)) {
            let kept = stanza.lines().filter(|line| KEPT.iter().any(|field| line.starts_with(field)));
            kept.for_each(|line| list.extend([line, "\n"]));
            list.push('\n');
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_releases_own_entries_get_backports() {
        let list = "# deb http://x/debian bookworm main\n\
                    deb [signed-by=/k.gpg] http://x/debian bookworm main contrib\n\
                    deb-src http://x/debian bookworm main\n\
                    deb http://x/debian-security bookworm-security main\n";
        let backports = "deb [signed-by=/k.gpg] http://x/debian bookworm-backports main contrib\n";
        assert_eq!(added_lines(list, "bookworm"), backports);

        let sources = "Types: deb\nURIs: http://x/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n\n\
                       Types: deb\nURIs: http://x/debian-security\nSuites: bookworm-security\n";
        let backports = "Types: deb\nURIs: http://x/debian\nSuites: bookworm-backports\nSigned-By: /k.gpg\n\n";
        assert_eq!(added_stanzas(sources, "bookworm"), backports);
    }

    #[test]
    fn packages_are_left_out_by_the_beginning_of_their_names_and_none_needs_them() {
        let packages = "Package: qemu-user\nStatus: x\n\nPackage: libc6\nDepends: qemu-user\nConffiles:\n /etc/x y\nVersion: 2\n\n";
        assert_eq!(without(packages, "qemu-"), "Package: libc6\nVersion: 2\n\n");
    }
}
