//! The tests of the C interface: programs in C on this machine, under Valgrind, and on emulated Arm and RISC-V.
//!
//! They run our own models and print a digest of each one's outputs, which must be that of the library in Rust; and call
//! functions as they must not be called, for which each has its code. Then the symbols of the programs for boards are looked
//! at: none may end in a panic, or allocate.

use crate::check_no_panic::{forbidden, symbols};
use crate::context::{Context, run_quietly, try_read};
use crate::ffi::header;
use crate::ffi::library::{self, FILE, Recipe};
use crate::ffi::machine::{self, ARM, HOST, Machine, Program, RISCV};
use crate::ffi::{self, array};
use crate::files;
use crate::limit;
use crate::model::ModelFile;
use crate::progress::Progress;
use crate::subject::{Expected, Subject, own_models};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xshell::cmd;

/// The model of the library that links the operators of one.
const ONE: &str = "keyword";

/// The most that a packaged program or the example may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What the programs have besides their main file.
const SHARED: &[&str] = &["digests.c", "text.c"];

/// Runs all tests of the C interface.
///
/// # Errors
/// The first that fails.
pub fn check(context: &Context) -> Result<()> {
    header::check(context)?;
    let mut subjects = own_models(context, &[])?;
    // Compiled by another step, and not always there.
    subjects.retain(|subject| !subject.id.ends_with(".f32"));
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let named: Vec<_> = subjects.iter().map(|subject| (subject.id.as_str(), &subject.model)).collect();
    let models = Models::write(folder.path(), &named)?;
    for machine in [HOST, ARM, RISCV] {
        machine.ensure(context)?;
        any_model(context, &machine, folder.path(), &models, &subjects)?;
    }
    let one = subjects.iter().find(|subject| subject.id == ONE).with_context(|| format!("there is no model {ONE}"))?;
    one_model(context, &ARM, folder.path(), &models, one)?;
    interrupted(context, folder.path(), &models, one)?;
    packages(context, folder.path(), one)?;
    example(context, folder.path(), &one.model)?;
    println!("{} models have the same outputs from C as from Rust, on {} machines", subjects.len(), 3);
    Ok(())
}

/// The models as C.
pub(super) struct Models {
    /// Sources: an array for each, and the table of them.
    sources: Vec<PathBuf>,
    folder: PathBuf,
}

impl Models {
    pub(super) fn write(folder: &Path, models: &[(&str, &ModelFile)]) -> Result<Self> {
        let folder = folder.join("models");
        let (mut sources, mut includes, mut rows) = (Vec::new(), String::new(), String::new());
        for (id, model) in models {
            let array = array::of_model(&ModelFile { name: (*id).into(), ..(*model).clone() });
            let name = array.name;
            files::write_whole(&folder.join(format!("{name}_model.h")), array.header.as_bytes())?;
            let source = folder.join(format!("{name}_model.c"));
            files::write_whole(&source, array.source.as_bytes())?;
            sources.push(source);
            includes += &format!("#include \"{name}_model.h\"\n");
            rows += &format!("  {{\"{id}\", {name}_model, sizeof {name}_model}},\n");
        }
        let table = format!(
            "#include \"models.h\"\n{includes}\nconst TestModel test_models[] = {{\n{rows}}};\n\
             const size_t test_model_count = {};\n",
            models.len()
        );
        let file = folder.join("models.c");
        files::write_whole(&file, table.as_bytes())?;
        sources.push(file);
        Ok(Self { sources, folder })
    }
}

/// The digests of all models and misuse, with the library that has all operators.
fn any_model(context: &Context, machine: &Machine, folder: &Path, models: &Models, subjects: &[Subject]) -> Result<()> {
    let library = write_library(context, machine, folder, None)?;
    let main = ["any_model.c", "misuse.c"];
    let program = program(context, machine, models, &library, &main, folder.join("any_model"));
    let progress = Progress::start(format!("the C interface on {}", machine.name));
    machine.compile(context, &program)?;
    let printed = machine.run(context, &program.output)?;
    for subject in subjects {
        expect_digest(&printed, &subject.id, subject).with_context(|| format!("on {}", machine.name))?;
    }
    check_symbols(machine, &program.output)?;
    let shell = &context.shell;
    if machine.is_host() && try_read(cmd!(shell, "g++ --version")).is_some() {
        let program = Program { cpp: true, output: folder.join("any_model_cpp"), ..program };
        machine.compile(context, &program)?;
        if machine.run(context, &program.output)? != printed {
            bail!("the program prints something else if it is compiled as C++");
        }
    }
    progress.done(&format!("{} lines", printed.lines().count()));
    Ok(())
}

/// The library that has the operators of one model runs this, and refuses others.
fn one_model(context: &Context, machine: &Machine, folder: &Path, models: &Models, one: &Subject) -> Result<()> {
    let library = write_library(context, machine, folder, Some(&one.model))?;
    let program = program(context, machine, models, &library, &["one_model.c"], folder.join("one_model"));
    machine.compile(context, &program)?;
    let printed = machine.run(context, &program.output)?;
    expect_digest(&printed, "built in", one)?;
    let opened = format!("{ONE}: 0 at 0");
    let refused = printed.lines().filter(|line| line.contains(": -30 at ")).count();
    if !printed.lines().any(|line| line == opened) || refused == 0 {
        bail!("the library of {ONE} does not open this model, or refuses no other:\n{printed}");
    }
    check_symbols(machine, &program.output)
}

/// A timer's interrupt calls for a session that is at work: it is refused, and the outputs are the same.
fn interrupted(context: &Context, folder: &Path, models: &Models, one: &Subject) -> Result<()> {
    let progress = Progress::start(format!("the C interface, interrupted, on {}", ARM.name));
    let library = write_library(context, &ARM, folder, Some(&one.model))?;
    let program = program(context, &ARM, models, &library, &["interrupt.c"], folder.join("interrupt"));
    ARM.compile(context, &program)?;
    let printed = ARM.run(context, &program.output)?;
    expect_digest(&printed, "interrupted", one)?;
    progress.done(printed.lines().last().unwrap_or_default());
    Ok(())
}

/// A program takes the folder of the library as CMake's find_package, as a Zephyr module and as a component of ESP-IDF.
fn packages(context: &Context, folder: &Path, one: &Subject) -> Result<()> {
    machine::ensure_program(context, "cmake")?;
    machine::ensure_program(context, "make")?;
    let package = folder.join("package");
    let library =
        library::build(context, Recipe { target: &HOST.target(context)?, flags: &[], model: Some(&one.model) })?;
    ffi::write(context, &package, &library, Some(&one.model), None)?;
    let (shell, source) = (&context.shell, context.root.join("runtime/ffi/tests/cmake"));
    for system in ["cmake", "zephyr", "esp-idf"] {
        let progress = Progress::start(format!("the package of the C interface, as {system} takes it"));
        let build = folder.join(system);
        let variables = [format!("-DSYSTEM={system}"), format!("-DPACKAGE={}", package.display())];
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", package.display());
        let generator = ["-G", "Unix Makefiles"];
        run_quietly(cmd!(shell, "cmake -S {source} -B {build} {prefix} {variables...} {generator...}"))?;
        run_quietly(cmd!(shell, "cmake --build {build}"))?;
        let program = build.join("packaged");
        let printed = limit::succeed(&mut Command::new(&program), TIME_LIMIT)?;
        expect_digest(&String::from_utf8_lossy(&printed), "packaged", one)?;
        progress.done("");
    }
    Ok(())
}

/// The example in C, built by its own makefile and run.
fn example(context: &Context, folder: &Path, model: &ModelFile) -> Result<()> {
    machine::ensure_program(context, "make")?;
    let progress = Progress::start("the example in C");
    let source = context.root.join("examples").join("c-mps2-an386");
    let package = folder.join("package-arm");
    let (target, flags) = (ARM.target(context)?, ARM.flags_of_rust());
    let library = library::build(context, Recipe { target: &target, flags: &flags, model: Some(model) })?;
    ffi::write(context, &package, &library, Some(model), None)?;
    let places = [format!("TEALIGHT={}", package.display()), format!("BUILD={}", folder.join("example").display())];
    let mut make = Command::new("make");
    make.args(["--silent", "run"]).args(places).current_dir(&source);
    let printed = String::from_utf8_lossy(&limit::succeed(&mut make, TIME_LIMIT)?).into_owned();
    let expected = String::from_utf8(files::read(&source.join("expected.txt"))?)?;
    if printed.trim() != expected.trim() {
        bail!("{} prints\n{printed}\ninstead of\n{expected}", source.display());
    }
    progress.done("");
    Ok(())
}

/// Builds the library and writes it to a folder of its own.
pub(super) fn write_library(
    context: &Context,
    machine: &Machine,
    folder: &Path,
    model: Option<&ModelFile>,
) -> Result<PathBuf> {
    let (target, flags) = (machine.target(context)?, machine.flags_of_rust());
    let bytes = library::build(context, Recipe { target: &target, flags: &flags, model })?;
    let operators = if model.is_some() { "one" } else { "all" };
    let file = folder.join(&target).join(operators).join(FILE);
    files::write_whole(&file, &bytes)?;
    Ok(file)
}

/// A program of the tests.
pub(super) fn program<'a>(
    context: &Context,
    machine: &Machine,
    models: &Models,
    library: &'a Path,
    main: &[&str],
    output: PathBuf,
) -> Program<'a> {
    let tests = machine::tests(context);
    let own = main.iter().chain(SHARED).chain(machine.sources).map(|name| tests.join(name));
    let sources = own.chain(models.sources.iter().cloned()).collect();
    let includes = vec![context.root.join("include"), tests.clone(), models.folder.clone()];
    let output = output.with_extension(machine.compiler);
    Program { sources, includes, library, cpp: false, output }
}

/// Whether a program printed the digest of a model's outputs after `name`.
fn expect_digest(printed: &str, name: &str, subject: &Subject) -> Result<()> {
    let expected: Vec<u8> = subject.runs.iter().try_fold(Vec::new(), |mut all, run| match &run.expected {
        Expected::Bytes(bytes) => {
            all.extend_from_slice(bytes);
            Ok(all)
        }
        Expected::Golden(..) => bail!("{} has no outputs of this machine", subject.id),
    })?;
    let line = format!("{name} {:016x}", fnv1a(&expected));
    if printed.lines().any(|printed| printed == line) {
        return Ok(());
    }
    bail!("instead of `{line}`, the program printed:\n{printed}")
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Whether a program for a board links no panic and no allocation.
fn check_symbols(machine: &Machine, program: &Path) -> Result<()> {
    if machine.is_host() {
        return Ok(());
    }
    let symbols = symbols(&files::read(program)?)?;
    // A program without symbols would pass whatever it held.
    if !symbols.iter().any(|symbol| symbol == "tealight_open") {
        bail!("{} has no symbols to check", program.display());
    }
    let found = forbidden(symbols);
    if !found.is_empty() {
        bail!("the C library on {} can panic or allocate; it links:\n    {}", machine.name, found.join("\n    "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn the_digest_is_that_of_its_authors() {
        // From the test vectors of Fowler, Noll and Vo.
        assert_eq!(fnv1a(b""), 0xCBF2_9CE4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_F739_67E8);
    }
}
