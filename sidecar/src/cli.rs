//! The command line, one file a verb. It parses, calls the library, and says what happened.
//!
//! Machine output goes to stdout, words for people to stderr; exit codes are those of the README.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use thumbforge_core::day::Day;
use thumbforge_core::error::{ErrorCode, Failure};

use crate::app::{App, StartError};
use crate::build::BuildError;
use crate::clock::Clock;
use crate::config::{Config, UserFile, default_data_dir};
use crate::maker::Maker;
use crate::market::{Ambient, Shelf};

mod approve;
mod batch;
mod bench;
mod costs;
mod doctor;
mod export;
mod generate;
mod jobs;
mod learn;
mod log;
mod models;
mod progress;
mod route;
mod serve;
mod show;
mod table;
mod verify;
mod weights;

pub use crate::command::exit;

/// Thumbnails as build artefacts: a manifest goes in, checked textures come out.
#[derive(Debug, Parser)]
#[command(
    name = "thumbforge",
    version,
    about = "Thumbnails as build artefacts: a manifest goes in, checked textures come out.",
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:
  thumbforge batch                     make what the manifest in this folder wants
  thumbforge generate \"a red dragon\"   one picture, now
  thumbforge batch --help              more about a command"
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
struct Common {
    /// Print machine-readable output on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Directory for journal, store and caches [default: the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The user's settings file [default: config.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Let keys that lie in the environment buy in CI too; elsewhere they do so anyway
    #[arg(long, global = true)]
    ambient_keys: bool,
    /// Say less
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make every picture that a manifest or a prompt file wants and that is not there yet
    Batch(batch::BatchArgs),
    /// Show what `batch` would do, and do nothing
    Plan(batch::BatchArgs),
    /// Accept or reject a picture, or a draft of it
    Approve(approve::ApproveArgs),
    /// Make one picture from a prompt
    Generate(generate::GenerateArgs),
    /// Run the sidecar until it is told to stop: HTTP on this machine, unless --no-http
    Serve(serve::ServeArgs),
    /// List jobs of the journal, or show one
    Jobs(jobs::JobsArgs),
    /// Show what hosted models cost so far, by model, locale, day and more
    Costs(costs::CostsArgs),
    /// List the models that can be named: which are here, what they cost, and until when
    Models(models::ModelsArgs),
    /// Say where a picture would be drawn, for how much, and why
    Route(route::RouteArgs),
    /// Show where a picture came from: its recipe, seed, engine and keys
    Show(show::ShowArgs),
    /// Read the words of pictures: are they those that were asked for, and can people read them?
    Verify(verify::VerifyArgs),
    /// Copy pictures for stores, signed if asked, and disclose what models made
    Export(export::ExportArgs),
    /// List, get, register, check and remove the weights that this machine draws with
    Weights(weights::WeightsArgs),
    /// Print the JSON Schema of thumbforge.toml
    Schema,
    /// Look at this machine: what works, what is missing, and what to do about it
    Doctor,
    /// Measure this machine
    Bench(bench::BenchArgs),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// What every verb needs: the common flags, resolved.
struct Context {
    json: bool,
    quiet: bool,
    data_dir: PathBuf,
    user: UserFile,
    user_file: Option<PathBuf>,
    ambient: Ambient,
}

impl Context {
    /// Settings of a sidecar in this process.
    fn config(&self) -> Config {
        let user_file = self.user_file.clone();
        Config { user_file, ambient: self.ambient, ..Config::new(&self.data_dir, &self.user) }
    }

    /// What hosted models are bought by.
    fn shelf(&self) -> Result<Shelf, Failure> {
        Shelf::open(&self.data_dir, self.user_file.as_deref(), self.ambient)
            .map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}")))
    }

    /// The day, in UTC.
    fn today(&self) -> Day {
        Day::of_ms(Clock::Machine.now_ms())
    }
}

/// Runs a command line and says how it ended.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(err) => {
            // Nothing can be done about a closed terminal.
            let _ = err.print();
            return ExitCode::from(if err.use_stderr() { exit::INPUT } else { exit::DONE });
        }
    };
    let json = cli.common.json;
    if matches!(&cli.verb, Verb::Serve(args) if args.is_detached()) {
        thumbforge_channel::server::close_inherited();
    }
    let log = match &cli.verb {
        Verb::Serve(args) => args.open_log(),
        _ => Ok(None),
    };
    let ended = log.map_err(BuildError::from).and_then(|log| {
        init_tracing(&cli.common, log);
        dispatch(cli)
    });
    ExitCode::from(match ended {
        Ok(code) => code,
        Err(error) => {
            say_error(&error, json);
            exit::of_error(&error)
        }
    })
}

fn dispatch(cli: Cli) -> Result<u8, BuildError> {
    let data_dir = cli.common.data_dir.clone().unwrap_or_else(default_data_dir);
    let read = UserFile::read(cli.common.config.as_deref(), &data_dir);
    let user = match (read, &cli.verb) {
        // The doctor says what is wrong with the settings, among all that it looks at.
        (Err(_), Verb::Doctor) => UserFile::default(),
        (read, _) => read.map_err(|err| Failure::new(ErrorCode::InvalidRequest, format!("failed to {err}")))?,
    };
    let common = cli.common;
    let ambient = Ambient::here(common.ambient_keys);
    let context = Context { json: common.json, quiet: common.quiet, data_dir, user, user_file: common.config, ambient };
    match cli.verb {
        Verb::Batch(args) => batch::batch(&context, &args),
        Verb::Plan(args) => batch::plan(&context, &args),
        Verb::Approve(args) => approve::approve(&context, &args),
        Verb::Generate(args) => generate::generate(&context, &args),
        Verb::Serve(args) => serve::serve(&context, &args),
        Verb::Jobs(args) => jobs::jobs(&context, &args),
        Verb::Costs(args) => costs::costs(&context, &args),
        Verb::Models(args) => models::models(&context, &args),
        Verb::Route(args) => route::route(&context, &args),
        Verb::Show(args) => show::show(&context, &args),
        Verb::Verify(args) => verify::verify(&context, &args),
        Verb::Export(args) => export::export(&context, &args),
        Verb::Weights(args) => weights::weights(&context, &args),
        Verb::Schema => {
            print_out(&pretty(&thumbforge_core::manifest::schema()));
            Ok(exit::DONE)
        }
        Verb::Doctor => doctor::doctor(&context),
        Verb::Bench(args) => bench::bench(&context, &args),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "thumbforge", &mut script);
            print_out(&String::from_utf8_lossy(&script));
            Ok(exit::DONE)
        }
    }
}

/// Prints what a script reads. A reader that has gone away (`| head`) is no error.
fn print_out(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn say_error(error: &BuildError, json: bool) {
    let failures = error.failures();
    for failure in &failures {
        eprintln!("error[{}]: {}", failure.code, failure.message);
    }
    if json {
        print_out(&pretty(&serde_json::json!({ "errors": failures })));
    }
}

fn init_tracing(common: &Common, log: Option<log::Log>) {
    let default = match (common.quiet, common.verbose) {
        (true, _) => "error",
        // A log is read after the fact, when nobody can ask for more words.
        (false, 0) if log.is_some() => "thumbforge_sidecar=info,warn",
        (false, 0) => "warn",
        (false, 1) => "thumbforge_sidecar=info,warn",
        (false, _) => "thumbforge_sidecar=debug,info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("THUMBFORGE_LOG").unwrap_or_else(|_| default.into());
    // A second call in one process (tests) keeps the first.
    if let Some(log) = log {
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(log).with_ansi(false);
        let _ = subscriber.with_target(false).try_init();
        return log_panics();
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .try_init();
}

/// What ends an attempt, or the whole process, is in the log as well as on stderr.
fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        usual(panic);
    }));
}

/// How long a command waits for a sidecar that has the data directory and does not listen yet.
const STARTING_MAX: std::time::Duration = std::time::Duration::from_secs(3);

/// Who makes a command's pictures: a sidecar that runs, or this process, which then owns the data directory.
/// `client` is who asks, as turns are shared out; `shared_cache` is the team's folder of shared renders.
async fn maker(
    context: &Context,
    client: &str,
    shared_cache: Option<&std::path::Path>,
    no_sidecar: bool,
) -> Result<(Maker, Option<App>), Failure> {
    let there = |patience| {
        let maker = Maker::there(&context.data_dir, client, patience)?;
        Ok::<_, Failure>(maker.map(|maker| maker.with_cache(shared_cache)))
    };
    if !no_sidecar && let Some(maker) = there(std::time::Duration::ZERO)? {
        return Ok((maker, None));
    }
    let config = Config { shared_cache: shared_cache.map(PathBuf::from), ..context.config() };
    match App::start(config).await {
        Ok(app) => {
            if !context.quiet
                && let Some(words) = app.intake().market().announcement()
            {
                eprintln!("{words}");
            }
            Ok((Maker::Here(app.intake().clone()), Some(app)))
        }
        Err(err @ StartError::InUse { .. }) if !no_sidecar => {
            there(STARTING_MAX)?.map(|maker| (maker, None)).ok_or_else(|| err.failure())
        }
        Err(err) => Err(err.failure()),
    }
}

/// A runtime for verbs that run jobs. Drawing has threads of its own, so two suffice for talking.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to start: {err}")))
}

/// Raised by Ctrl-C or SIGTERM.
fn interruption() -> tokio_util::sync::CancellationToken {
    let token = tokio_util::sync::CancellationToken::new();
    let raised = token.clone();
    tokio::spawn(async move {
        terminated().await;
        raised.cancel();
    });
    token
}

/// Waits for Ctrl-C, or for SIGTERM where there is one.
async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
