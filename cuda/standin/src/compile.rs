//! Compiles the emulator, the driver's functions and the kernels; what did not change is not compiled again.
//!
//! Every file's object is named by a hash of its text, of all headers and of the flags, and a library by those of its
//! objects: processes that build at the same time write the same bytes to the same names, each by a rename.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::error::StandinError;

/// What was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// `libcuda.so.1`.
    pub driver: PathBuf,
    /// `libcublasLt.so.12`, in a folder of its own: who wants a machine without it does not see it.
    pub blaslt: PathBuf,
}

/// A change of one place in a kernel's file, for tests of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// The kernel's file in `cuda/kernels`, which is compiled.
    pub unit: &'static str,
    /// What is changed: the same, or a header that it includes itself.
    pub file: &'static str,
    /// Stands in the file once.
    pub find: &'static str,
    /// What stands there instead.
    pub replace: &'static str,
}

/// How a file is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Dialect {
    /// As it is.
    Host,
    /// As it is, with the traps.
    Test,
    /// The same with the fibers of other systems than x86-64.
    Portable,
    /// In a namespace of its own, with traps for what a card would not do.
    Kernel,
    /// The same with something wrong in it: quickly, and without a word.
    Mutant,
}

impl Dialect {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Host => &[],
            Self::Portable => {
                &["-DEMULATOR_UCONTEXT", "-fsanitize=alignment,bounds,shift", "-fsanitize-undefined-trap-on-error"]
            }
            Self::Test | Self::Kernel => &[
                "-fsanitize=alignment,bounds,shift",
                "-fsanitize-undefined-trap-on-error",
                "-Wno-unused-function",
                "-Wno-unused-variable",
                "-Wno-unused-but-set-variable",
            ],
            Self::Mutant => &["-fsanitize=alignment,bounds,shift", "-fsanitize-undefined-trap-on-error", "-O1", "-w"],
        }
    }
}

/// `cuda/`.
fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's folder of this build, in which this program lies; the system's folder for such things where it lies elsewhere.
fn output() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("deps").is_dir());
    target.map_or_else(std::env::temp_dir, Path::to_path_buf).join("cuda-standin")
}

fn file<T>(what: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, StandinError> {
    result.map_err(|err| StandinError::File { what, path: path.to_path_buf(), reason: err.to_string() })
}

/// Files of a folder that end so, in the order of their names.
fn ending(folder: &str, ends: &[&str]) -> Result<Vec<PathBuf>, StandinError> {
    let folder = sources().join(folder);
    let entries = file("list", &folder, std::fs::read_dir(&folder))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| ends.iter().any(|end| path.extension().is_some_and(|of| of == *end)));
    found.sort();
    Ok(found)
}

/// The compiler with its flags, and a hash of all that every object depends on.
struct Compiler {
    program: String,
    flags: Vec<String>,
    common: u64,
    output: PathBuf,
}

impl Compiler {
    fn new() -> Result<Self, StandinError> {
        if !cfg!(target_os = "linux") {
            return Err(StandinError::NotHere { reason: format!("this is {}", std::env::consts::OS) });
        }
        let program = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let version = Command::new(&program).arg("--version").output();
        let version = version.map_err(|err| StandinError::NotHere { reason: format!("run {program}: {err}") })?.stdout;
        // Products and sums are rounded apart as the text says, so that every machine computes the same bytes.
        // What unrolls a loop is said to the card's compiler alone.
        let flags = "-std=c++17 -O2 -g1 -fPIC -pthread -fvisibility=hidden -ffp-contract=off -U_FORTIFY_SOURCE -Wall -Wextra \
                     -Werror -Wno-unknown-pragmas";
        let mut flags: Vec<String> = flags.split(' ').map(str::to_owned).collect();
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            flags.extend(["-mavx2", "-mfma"].map(str::to_owned));
        }
        let mut hasher = DefaultHasher::new();
        (&program, &version, &flags).hash(&mut hasher);
        for folder in ["emulator", "kernels", "standin/driver"] {
            for header in ending(folder, &["h", "cuh"])? {
                file("read", &header, std::fs::read(&header))?.hash(&mut hasher);
            }
        }
        let output = output();
        let objects = output.join("objects");
        file("make", &objects, std::fs::create_dir_all(&objects))?;
        Ok(Self { program, flags, common: hasher.finish(), output })
    }

    fn run(&self, source: &Path, command: &mut Command) -> Result<(), StandinError> {
        let output = command.output();
        let output = output.map_err(|err| StandinError::NotHere { reason: format!("run {}: {err}", self.program) })?;
        if output.status.success() {
            return Ok(());
        }
        let output = String::from_utf8_lossy(&output.stderr).chars().take(8000).collect();
        Err(StandinError::Compile { source_file: source.to_path_buf(), output })
    }

    /// The object of `text`, which stands in `source`.
    fn object(&self, source: &Path, text: &str, dialect: Dialect) -> Result<PathBuf, StandinError> {
        let mut hasher = DefaultHasher::new();
        (self.common, text, dialect, dialect.flags()).hash(&mut hasher);
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-{:016x}", hasher.finish());
        let object = self.output.join("objects").join(format!("{name}.o"));
        if object.is_file() {
            return Ok(object);
        }
        // Another process, or another thread of this one, may be at the same.
        let part = self.output.join("objects").join(format!(
            "{name}-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let (unit, made) = (part.with_extension("cpp"), part.with_extension("part"));
        let kernels = sources().join("kernels");
        let text = match dialect {
            Dialect::Host | Dialect::Test | Dialect::Portable => format!("#line 1 \"{}\"\n{text}", source.display()),
            // Kernels' helpers may have the same names in different files; a card's compiler sees them one after the other.
            Dialect::Kernel | Dialect::Mutant => {
                format!("#include \"dev.cuh\"\nnamespace {{\n#line 1 \"{}\"\n{text}\n}}\n", source.display())
            }
        };
        file("write", &unit, std::fs::write(&unit, text))?;
        let mut command = Command::new(&self.program);
        command.args(&self.flags).arg("-I").arg(kernels).arg("-I").arg(source.parent().unwrap_or(Path::new(".")));
        command.args(dialect.flags());
        let compiled = self.run(source, command.arg("-c").arg(&unit).arg("-o").arg(&made));
        // Only tidiness: what is left over is named by this process.
        let _ = std::fs::remove_file(&unit);
        compiled?;
        file("rename", &object, std::fs::rename(&made, &object))?;
        Ok(object)
    }

    /// Objects of all of these, compiled by as many processes as there are processors.
    fn objects(&self, units: &[(PathBuf, String, Dialect)]) -> Result<Vec<PathBuf>, StandinError> {
        let work = Mutex::new(units.iter().enumerate());
        let done = Mutex::new(BTreeMap::new());
        let next = || work.lock().ok().and_then(|mut work| work.next());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(units.len()) {
                scope.spawn(|| {
                    while let Some((at, (source, text, dialect))) = next() {
                        let object = self.object(source, text, *dialect);
                        if let Ok(mut done) = done.lock() {
                            done.insert(at, object);
                        }
                    }
                });
            }
        });
        done.into_inner().unwrap_or_default().into_values().collect()
    }

    /// Links objects into `<hash>/name`, where it is not there yet.
    fn link(&self, objects: &[PathBuf], name: &str, args: &[&str]) -> Result<PathBuf, StandinError> {
        let mut hasher = DefaultHasher::new();
        (objects, name, args).hash(&mut hasher);
        let folder = self.output.join(format!("{:016x}", hasher.finish()));
        file("make", &folder, std::fs::create_dir_all(&folder))?;
        let library = folder.join(name);
        if library.is_file() {
            return Ok(library);
        }
        let made = folder.join(format!("{name}-{}-{:?}", std::process::id(), std::thread::current().id()));
        let mut command = Command::new(&self.program);
        self.run(&library, command.args(objects).args(args).args(["-pthread", "-ldl", "-o"]).arg(&made))?;
        file("rename", &library, std::fs::rename(&made, &library))?;
        Ok(library)
    }
}

fn units(paths: Vec<PathBuf>, dialect: Dialect) -> Result<Vec<(PathBuf, String, Dialect)>, StandinError> {
    let read = |path: PathBuf| {
        let text = file("read", &path, std::fs::read_to_string(&path))?;
        Ok((path, text, dialect))
    };
    paths.into_iter().map(read).collect()
}

fn emulator() -> Result<Vec<PathBuf>, StandinError> {
    let mut all = ending("emulator", &["cpp"])?;
    all.retain(|path| !path.ends_with("test.cpp"));
    Ok(all)
}

/// Kernels' files; `all.cu` only names the others.
fn kernels() -> Result<Vec<PathBuf>, StandinError> {
    let mut all = ending("kernels", &["cu"])?;
    all.retain(|path| !path.ends_with("all.cu"));
    Ok(all)
}

/// Compiles the driver with all kernels, and the library of products beside it.
pub fn build() -> Result<Built, StandinError> {
    let compiler = Compiler::new()?;
    let mut driver = ending("standin/driver", &["cpp"])?;
    driver.retain(|path| !path.ends_with("blaslt.cpp"));
    let host = [emulator()?, driver].concat();
    let mut all = units(host, Dialect::Host)?;
    all.extend(units(kernels()?, Dialect::Kernel)?);
    let driver = compiler.link(&compiler.objects(&all)?, "libcuda.so.1", &["-shared", "-Wl,-soname,libcuda.so.1"])?;
    let blaslt = units(vec![sources().join("standin/driver/blaslt.cpp")], Dialect::Host)?;
    let mut objects = compiler.objects(&blaslt)?;
    objects.push(driver.clone());
    let blaslt = compiler.link(&objects, "libcublasLt.so.12", &["-shared", "-Wl,-soname,libcublasLt.so.12"])?;
    Ok(Built { driver, blaslt })
}

/// Compiles the kernels of each mutation's file, changed so, into libraries for [`Standin::use_kernels`].
///
/// [`Standin::use_kernels`]: crate::Standin::use_kernels
pub fn build_kernels(mutations: &[Mutation]) -> Result<Vec<PathBuf>, StandinError> {
    let compiler = Compiler::new()?;
    let driver = build()?.driver;
    let mut changed = Vec::new();
    for mutation in mutations {
        let kernels = sources().join("kernels");
        let (path, header) = (kernels.join(mutation.unit), kernels.join(mutation.file));
        let unit = file("read", &path, std::fs::read_to_string(&path))?;
        let text = file("read", &header, std::fs::read_to_string(&header))?;
        let once = |text: &str, find: &str| match text.matches(find).count() {
            1 => Ok(()),
            times => Err(StandinError::Mutation { file: mutation.file.to_owned(), find: find.to_owned(), times }),
        };
        once(&text, mutation.find)?;
        let mut text = text.replace(mutation.find, mutation.replace);
        if mutation.file != mutation.unit {
            let include = format!("#include \"{}\"", mutation.file);
            once(&unit, &include)?;
            text = unit.replace(&include, &text.replace("#pragma once", ""));
        }
        changed.push((path, text, Dialect::Mutant));
    }
    let objects = compiler.objects(&changed)?;
    objects.into_iter().map(|object| compiler.link(&[object, driver.clone()], "libkernels.so", &["-shared"])).collect()
}

/// Compiles and runs the emulator's own test, with both kinds of fibers; what it prints, and whether it ended well.
pub fn self_test() -> Result<(String, bool), StandinError> {
    let compiler = Compiler::new()?;
    let (mut printed, mut well) = (String::new(), true);
    for (dialect, of_test) in [(Dialect::Host, Dialect::Test), (Dialect::Portable, Dialect::Portable)] {
        let mut all = units(emulator()?, dialect)?;
        all.extend(units(vec![sources().join("emulator/test.cpp")], of_test)?);
        let program = compiler.link(&compiler.objects(&all)?, "emulator-test", &[])?;
        let output = file("run", &program, Command::new(&program).output())?;
        printed += &String::from_utf8_lossy(&output.stdout);
        well &= output.status.success();
    }
    Ok((printed, well))
}
