//! A build of 300 pictures that are bought: a rate limit in the middle, and processes that are killed in the middle. What
//! the provider's own book says is held against the journal: nothing is billed twice, and nothing is billed in secret.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thumbforge_tests::provider::{Options, Provider, Reply, Rule};
use thumbforge_tests::rig::{PATIENCE, Process, Rig, Signal, journal, wait_for};

use crate::BINARY;

/// Pictures of a build, as in the night that this replays.
const PICTURES: usize = 300;
/// Pictures of a build whose server is asked again and again until it is done, which takes its time.
const FEW: usize = 60;
/// Calls at once.
const IN_FLIGHT: u32 = 8;
/// How long the provider turns everybody away; the night's 60 s, shortened.
const CLOSED: Duration = Duration::from_millis(1_500);
/// The key of the account, which must be nowhere afterwards.
const KEY: &str = "sk-marked-5d1e7c";

/// A provider whose pictures are small, so that what is measured is the buying.
fn provider(latency: Duration) -> Provider {
    Provider::with(Options { key: Some(KEY.into()), size: Some((64, 64)), latency, ..Options::plain() })
}

/// A rig with an account at `provider` and a file of prompts.
fn rig(provider: &Provider, kind: &str, path: &str, pictures: usize) -> Rig {
    let rig = Rig::new(BINARY);
    let prompts: String = (0..pictures).map(|at| format!("a fox, number {at:03}\n")).collect();
    rig.write("prompts.txt", prompts);
    fs::create_dir_all(rig.data()).expect("a folder");
    let key = rig.data().join("key");
    fs::write(&key, KEY).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("permissions");
    let config = format!(
        "[accounts.tests]\nprovider = \"{kind}\"\nbase_url = \"{}{path}\"\nkey = \"file:key\"\nallow_private = true\n\
         images_in_flight = {IN_FLIGHT}\nimages_per_minute = 60000\nburst = 1000\n",
        provider.origin()
    );
    fs::write(rig.data().join("config.toml"), config).expect("a file");
    rig
}

/// The build.
fn build(rig: &Rig, model: &str) -> Process {
    let args = ["batch", "--prompt-file", "prompts.txt", "--out", "Out", "--size", "64x64", "--json", "--model", model];
    rig.start(&args)
}

/// A refusal as the night's log had it, with the delay in its sentence and in a header.
fn limit() -> Reply {
    let seconds = CLOSED.as_secs_f64();
    let message = format!("Rate limit exceeded. Retry after {seconds}s.");
    let error = json!({"message": message, "type": "requests", "param": null, "code": "rate_limit_exceeded"});
    Reply::json(429, &json!({ "error": error })).header("retry-after", seconds.to_string())
}

/// Numbers that the journal has of calls that were bought.
fn number(rig: &Rig, sql: &str) -> u64 {
    journal::open(&rig.journal()).query_row(sql, [], |row| row.get::<_, Option<u64>>(0)).expect(sql).unwrap_or_default()
}

/// Pictures that jobs ended with. Builds that were killed ask for some of them twice, which costs nothing.
fn pictures(rig: &Rig) -> u64 {
    number(rig, "SELECT count(DISTINCT realised) FROM jobs WHERE state = 'done'")
}

/// Every prompt has its picture and one charge, and the journal says so too.
#[track_caller]
fn each_is_bought_once(rig: &Rig, provider: &Provider, report: &Value, count: usize) {
    let book = provider.book();
    assert_eq!(book.billed_twice(), [], "billed twice");
    assert_eq!((book.charges.len(), book.by_prompt().len()), (count, count));
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(fs::read_dir(rig.project().join("Out")).expect("a folder").count(), count);
    let figures = journal::figures(&rig.journal());
    assert_eq!((pictures(rig), figures.of("ambiguous")), (count as u64, 0));
    // Art that was bought before a kill and not yet finished is finished without being bought: that attempt has no account.
    assert_eq!(
        number(rig, "SELECT count(*) FROM attempts WHERE outcome = 'rendered' AND account IS NOT NULL"),
        count as u64
    );
    assert_eq!(number(rig, "SELECT count(*) FROM attempts WHERE ended_ms IS NULL"), 0);
    let settled = number(rig, "SELECT sum(settled_micros) FROM attempts WHERE outcome = 'rendered'");
    assert_eq!(number(rig, "SELECT sum(settled_micros) FROM attempts"), settled, "nothing else was paid for");
    assert!(book.in_flight_max <= IN_FLIGHT, "{} at once", book.in_flight_max);
}

/// Requests that were turned away, and how long it was quiet after the first of them.
fn turned_away(provider: &Provider, asks: &str) -> (usize, Duration) {
    let made: BTreeSet<u64> = provider.book().charges.iter().map(|charge| charge.request).collect();
    let requests = provider.requests();
    let asked: Vec<_> =
        requests.iter().filter(|request| request.method == "POST" && request.path.ends_with(asks)).collect();
    let refused: Vec<_> = asked.iter().filter(|request| !made.contains(&request.number)).collect();
    let Some(first) = refused.first() else { return (0, Duration::ZERO) };
    let last = refused.last().expect("as many as the first");
    let next = asked.iter().find(|request| request.number > last.number).map_or(last.at, |request| request.at);
    (refused.len(), next.saturating_sub(first.at))
}

#[test]
fn a_rate_limit_in_the_middle_is_waited_for() {
    let provider = provider(Duration::from_millis(2));
    provider.rule(Rule::reply(limit()).path("/images/generations").after(150).lasting(CLOSED));
    let rig = rig(&provider, "openai", "/v1", PICTURES);
    let began = Instant::now();
    let ran = build(&rig, "gpt-image-2.5-flare").ended().expect(0);
    let took = began.elapsed();
    let report = ran.json();
    each_is_bought_once(&rig, &provider, &report, PICTURES);
    let (refused, quiet) = turned_away(&provider, "/images/generations");
    // Those that were on their way when it began, and nobody else before the time was over.
    assert!((1..=IN_FLIGHT as usize).contains(&refused), "{refused} were turned away");
    assert!(quiet >= CLOSED - Duration::from_millis(100), "asked again after {quiet:?}");
    assert!(quiet < CLOSED * 8, "asked again only after {quiet:?}");
    let settled = number(&rig, "SELECT sum(settled_micros) FROM attempts");
    assert_eq!(report["cost_micros_usd"], settled);
    println!("{PICTURES} pictures in {took:?}, {refused} turned away, quiet for {quiet:?}");
    // A second build buys nothing.
    let again = build(&rig, "gpt-image-2.5-flare").ended().expect(0).json();
    assert_eq!((&again["unchanged"], provider.book().charges.len()), (&json!(PICTURES), PICTURES));
    the_key_is_nowhere(&rig);
}

/// The key stands in its own file and in no other of the data directory or the project.
fn the_key_is_nowhere(rig: &Rig) {
    for (path, bytes) in thumbforge_tests::rig::snapshot(rig.path()) {
        let told = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!told || path == "data/key", "{path} has the key");
    }
}

/// Whether the provider turns calls away and none is on its way: whoever was turned away has been written down too.
fn waits(rig: &Rig, provider: &Provider) -> Option<()> {
    let charges = provider.book().charges.len() as u64;
    if charges < 150 || provider.count() == charges {
        return None;
    }
    let figures = journal::figures(&rig.journal());
    (figures.rendered == charges && figures.attempts_open == 0).then_some(())
}

#[test]
fn a_build_that_is_killed_while_it_waits_buys_nothing_twice() {
    let provider = provider(Duration::from_millis(2));
    provider.rule(Rule::reply(limit()).path("/images/generations").after(150).lasting(CLOSED));
    let rig = rig(&provider, "openai", "/v1", PICTURES);
    let mut killed = build(&rig, "gpt-image-2.5-flare");
    wait_for("the build to wait", PATIENCE, || waits(&rig, &provider));
    killed.signal(Signal::Kill);
    killed.ended();
    let report = build(&rig, "gpt-image-2.5-flare").ended().expect(0).json();
    each_is_bought_once(&rig, &provider, &report, PICTURES);
    the_key_is_nowhere(&rig);
}

#[test]
fn calls_of_a_killed_build_are_never_made_again_in_secret() {
    let provider = provider(Duration::from_millis(30));
    let rig = rig(&provider, "openai", "/v1", PICTURES);
    for kills in 1..=2 {
        let mut killed = build(&rig, "gpt-image-2.5-flare");
        wait_for("the middle of the build", PATIENCE, || {
            let book = provider.book();
            (book.charges.len() >= kills * PICTURES / 3 && book.in_flight > 0).then_some(())
        });
        killed.signal(Signal::Kill);
        killed.ended();
    }
    let ran = build(&rig, "gpt-image-2.5-flare").ended();
    let book = provider.book();
    assert_eq!(book.billed_twice(), [], "{}", ran.stderr);
    let figures = journal::figures(&rig.journal());
    let (done, unknown) = (pictures(&rig), figures.of("ambiguous"));
    assert_eq!(done + unknown, PICTURES as u64, "{figures:?} {}", ran.stderr);
    // Only what was on its way when the process ended can be unknown, and whoever pays is told of each.
    assert!((1..=u64::from(IN_FLIGHT) * 2).contains(&unknown), "{figures:?}");
    assert_eq!(ran.json()["ambiguous"], unknown, "{}", ran.stderr);
    assert!(book.charges.len() as u64 >= done, "a picture that nobody billed");
    assert!(book.charges.len() as u64 <= done + unknown, "a charge that nobody is told of");
    // Whoever decides to have them made again gets them, once each.
    let list = rig.run(&["jobs", "--state", "ambiguous", "--json"]).expect(0).json();
    let list = list.as_array().or_else(|| list["jobs"].as_array()).expect("jobs").clone();
    let ids: Vec<String> = list.iter().map(|job| job["id"].as_u64().expect("an id").to_string()).collect();
    assert_eq!(ids.len() as u64, unknown);
    rig.run(&["jobs", "--resend", &ids.join(",")]).expect(0);
    let report = build(&rig, "gpt-image-2.5-flare").ended().expect(0).json();
    assert_eq!((&report["ambiguous"], &report["failed"]), (&json!(0), &json!(0)));
    let book = provider.book();
    assert_eq!((pictures(&rig), book.by_prompt().len()), (PICTURES as u64, PICTURES));
    assert!(book.billed_twice().iter().all(|(_, times)| *times == 2), "{:?}", book.billed_twice());
    assert!(book.billed_twice().len() as u64 <= unknown, "{:?}", book.billed_twice());
}

#[test]
fn a_server_that_knows_our_names_is_asked_what_became_of_them() {
    let provider = Provider::with(Options { size: Some((64, 64)), polls: 1, ..Options::plain() });
    let rig = rig(&provider, "comfyui", "", FEW);
    for kills in 1..=2 {
        let mut killed = build(&rig, "comfyui");
        wait_for("the middle of the build", PATIENCE, || {
            (provider.book().charges.len() >= kills * FEW / 3).then_some(())
        });
        killed.signal(Signal::Kill);
        killed.ended();
    }
    let report = build(&rig, "comfyui").ended().expect(0).json();
    each_is_bought_once(&rig, &provider, &report, FEW);
}

#[test]
fn a_sidecar_that_is_killed_while_it_waits_goes_on_by_itself() {
    let provider = provider(Duration::from_millis(2));
    provider.rule(Rule::reply(limit()).path("/images/generations").after(150).lasting(CLOSED));
    let rig = rig(&provider, "openai", "/v1", PICTURES);
    let mut sidecar = rig.serve(&[]);
    let building = build(&rig, "gpt-image-2.5-flare");
    wait_for("the sidecar to wait", PATIENCE, || waits(&rig, &provider));
    sidecar.process().signal(Signal::Kill);
    sidecar.end(Signal::Kill);
    // The build has lost its sidecar; whatever it makes of that, it buys nothing by itself.
    let mut building = building;
    building.signal(Signal::Kill);
    building.ended();
    // Nobody asks again: what was accepted is in the journal.
    let sidecar = rig.serve(&[]);
    wait_for("every picture", PATIENCE, || (pictures(&rig) == PICTURES as u64).then_some(()));
    let report = build(&rig, "gpt-image-2.5-flare").ended().expect(0).json();
    assert_eq!(report["rendered"], 0, "all of it was made without being asked for again: {report:#}");
    sidecar.end(Signal::Terminate).expect(0);
    each_is_bought_once(&rig, &provider, &report, PICTURES);
}

#[test]
fn what_is_paid_without_a_picture_is_paid_once_and_told() {
    let provider = provider(Duration::ZERO);
    let nothing = Reply::json(200, &json!({"created": 1, "data": []}));
    provider.rule(Rule::reply(nothing).path("/images/generations").prompt("number 001"));
    let rig = rig(&provider, "openai", "/v1", 3);
    let report = build(&rig, "gpt-image-2.5-flare").ended().expect(3).json();
    assert_eq!((&report["rendered"], &report["failed"]), (&json!(2), &json!(1)), "{report:#}");
    let asked = provider.requests().iter().filter(|request| request.path.ends_with("/images/generations")).count();
    assert_eq!(asked, 3, "an answer that may be billed is not asked for again by itself");
    let settled = number(&rig, "SELECT sum(settled_micros) FROM attempts");
    assert!(settled > number(&rig, "SELECT sum(settled_micros) FROM attempts WHERE outcome = 'rendered'"));
    assert_eq!(report["cost_micros_usd"], settled, "the report has what the ledger has: {report:#}");
}

#[test]
fn changed_settings_reach_jobs_that_wait() {
    let provider = provider(Duration::ZERO);
    let error = json!({"message": "Rate limit exceeded.", "type": "requests", "code": "rate_limit_exceeded"});
    let long = Reply::json(429, &json!({ "error": error })).header("retry-after", "3000");
    provider.rule(Rule::reply(long).path("/images/generations"));
    let rig = rig(&provider, "openai", "/v1", 3);
    let building = build(&rig, "gpt-image-2.5-flare");
    let throttled = "SELECT count(*) FROM attempts WHERE outcome = 'throttled'";
    wait_for("everybody to be turned away", PATIENCE, || {
        (provider.count() >= 3 && number(&rig, throttled) == 3).then_some(())
    });
    provider.well();
    // What a person changes is another matter; that something did is what lets jobs that wait for 50 minutes ask again.
    let config = rig.data().join("config.toml");
    let text = fs::read_to_string(&config).expect("settings");
    fs::write(&config, text.replace("burst = 1000", "burst = 999")).expect("a file");
    let report = building.ended().expect(0).json();
    assert_eq!(report["rendered"], 3, "{report:#}");
}
