//! Running a tool of version control: its words, its time, and what it said.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Tools, VcsError};

/// Most bytes of file names on one command line: Windows takes 32 KiB in all, the least of the systems in use.
const CALL_BYTES_MAX: usize = 24 * 1024;
/// Most bytes of an answer that are kept: the lines about ten thousand files; the rest is read and dropped.
const SAID_BYTES_MAX: u64 = 2 << 20;
/// The placeholder for one file.
const PATH: &str = "{path}";

/// What became of a call.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) succeeded: bool,
    /// Standard error, then standard output: refusals come first.
    pub(super) said: String,
}

/// Splits a command into words: quotes hold words together, a backslash takes the meaning of the space, quote or
/// backslash after it and is itself before anything else, as in `C:\tools\lock.exe`.
pub(super) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') if rest.peek().is_some_and(|next| matches!(next, ' ' | '"' | '\'' | '\\')) => {
                word.get_or_insert_default().extend(rest.next());
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    if words.is_empty() { Err("it is empty; write none, p4, or a command") } else { Ok(words) }
}

/// The calls that take all `paths`: one for each where the words say `{path}`, else as few as fit.
pub(super) fn calls(words: &[String], paths: &[&Path]) -> Vec<Vec<OsString>> {
    if words.iter().any(|word| word.contains(PATH)) {
        let call = |path: &&Path| words.iter().map(|word| filled(word, path)).collect();
        return paths.iter().map(call).collect();
    }
    let mut calls = Vec::new();
    let mut call: Vec<OsString> = Vec::new();
    let mut bytes = 0;
    for path in paths {
        // Four for the quotes and spaces that a system puts around it.
        let more = path.as_os_str().len() + 4;
        if call.is_empty() || bytes + more > CALL_BYTES_MAX {
            calls.extend((!call.is_empty()).then(|| std::mem::take(&mut call)));
            call.extend(words.iter().map(OsString::from));
            bytes = 0;
        }
        bytes += more;
        call.push(path.into());
    }
    calls.extend((!call.is_empty()).then_some(call));
    calls
}

fn filled(word: &str, path: &Path) -> OsString {
    let mut filled = OsString::new();
    for (at, part) in word.split(PATH).enumerate() {
        if at > 0 {
            filled.push(path);
        }
        filled.push(part);
    }
    filled
}

/// Runs a call to its end or to the end of its time.
pub(super) fn run(call: &[OsString], input: Option<String>, tools: &Tools) -> Result<Ran, VcsError> {
    let Some((program, arguments)) = call.split_first() else {
        return Err(VcsError::Words { command: String::new(), why: "it is empty" });
    };
    let name = || program.to_string_lossy().into_owned();
    let failed = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound if tools.folder.is_dir() => VcsError::NoProgram { program: name() },
        _ => VcsError::Run { program: name(), err },
    };
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&tools.folder)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;

    // Each pipe has a thread of its own, or a tool that fills one while we serve another would wait for ever.
    // They end with the pipes; should a grandchild keep those open after a kill, the threads are left to it.
    let (sender, answers) = mpsc::sync_channel(2);
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A tool that does not read to the end says why in its answer.
        std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    let stdout = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let stderr = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    for (place, pipe) in [stderr, stdout].into_iter().enumerate() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let said = pipe.map_or_else(String::new, read);
            // Nobody listens any more once the time is up.
            drop(sender.send((place, said)));
        });
    }
    let deadline = Instant::now() + tools.timeout;
    let mut said = [String::new(), String::new()];
    for _ in 0..2 {
        match answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((place, text)) => said[place] = text,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(timed_out(&mut child, name(), tools));
            }
        }
    }
    // Both pipes are closed, so it is at its end or will be in a moment.
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Ran { succeeded: status.success(), said: said.concat() }),
            Ok(None) if Instant::now() >= deadline => return Err(timed_out(&mut child, name(), tools)),
            Ok(None) => std::thread::park_timeout(Duration::from_millis(2)),
            Err(err) => return Err(VcsError::Run { program: name(), err }),
        }
    }
}

fn timed_out(child: &mut std::process::Child, program: String, tools: &Tools) -> VcsError {
    // It may have ended between the two; either way it is gone afterwards.
    drop(child.kill());
    drop(child.wait());
    VcsError::TimedOut { program, timeout: tools.timeout }
}

fn read(mut pipe: Box<dyn Read + Send>) -> String {
    let mut bytes = Vec::new();
    // An answer that breaks off is still the answer.
    drop((&mut pipe).take(SAID_BYTES_MAX).read_to_end(&mut bytes));
    drop(io::copy(&mut pipe, &mut io::sink()));
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
