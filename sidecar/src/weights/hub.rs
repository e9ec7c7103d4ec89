//! A hub of the kind that Hugging Face runs: what a repository has, and the bytes of its files.
//!
//! ```text
//! GET {endpoint}/api/models/{repo}/revision/{revision}?blobs=true ─► commit, licence, files with sizes and hashes
//! GET {endpoint}/{repo}/resolve/{commit}/{file}   Range: …          ─► bytes, by way of the hub's store
//! ```
//! A repository is asked for without a token first, unless it is known to want one: what needs none is told of nobody.
//! Everything that a hub says is from outside: bounded, and checked before it becomes a path or a number of bytes.

use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_hosted::download::Head;
use thumbforge_hosted::{Ask, DownloadError, Downloader, Opened, Secret};
use url::Url;

use super::names;
use crate::market::keys::Source;

/// Largest listing that is read, in bytes: about 40,000 files.
const LISTING_BYTES_MAX: usize = 16 << 20;
/// Most files of a listing.
const FILES_MAX: usize = 20_000;
/// Largest file that is believed, in bytes: ten times the largest model that anybody gives out in one file.
const FILE_BYTES_MAX: u64 = 4 << 40;
/// How often in a row bytes are asked for that do not come; with the waits between, about half a minute.
const TRIES_MAX: u32 = 8;
/// The same of a listing, where nobody has waited for anything yet: two seconds tell whether there is a network.
const LISTING_TRIES_MAX: u32 = 4;
/// First wait after a try that brought nothing; each doubles it.
const BACKOFF: Duration = Duration::from_millis(250);
/// Longest wait that a hub may ask for; past it a person had better come back.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its name.
    pub repo: String,
    /// The commit that the revision stands for.
    pub commit: String,
    /// The licence that it names, as hubs write it.
    pub licence: Option<String>,
    /// Its files.
    pub files: Vec<Listed>,
}

/// A file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path in the repository, sound as a path of ours.
    pub path: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What its content is: the SHA-256 of large files, which is checked, or git's name for small ones.
    pub content: String,
    /// The SHA-256, of large files.
    pub sha256: Option<String>,
}

/// A hub.
pub struct Hub {
    http: Downloader,
    endpoint: Url,
    token: Option<Source>,
    /// The token once it was needed.
    shown: Mutex<Option<Secret>>,
}

/// How a request for bytes ended.
pub(super) enum Came {
    /// With bytes.
    Bytes(Box<Opened>),
    /// With nothing, and the next time may be better.
    Nothing {
        /// In words.
        why: String,
        /// How long to wait first, where the hub says so.
        after: Option<Duration>,
    },
    /// The file is another than the listing said.
    Changed,
}

/// Tries in a row that brought nothing.
#[derive(Debug)]
pub(super) struct Tries {
    made: u32,
    most: u32,
}

impl Tries {
    /// Of bytes of a file.
    pub(super) fn of_bytes() -> Self {
        Self { made: 0, most: TRIES_MAX }
    }

    /// Something came.
    pub(super) fn forget(&mut self) {
        self.made = 0;
    }

    /// Waits before the next try, or says that it was enough.
    pub(super) async fn wait(&mut self, what: &str, why: &str, after: Option<Duration>) -> Result<(), Failure> {
        self.made += 1;
        let code = match after {
            Some(_) => ErrorCode::RateLimited,
            None => ErrorCode::ProviderFailed,
        };
        let failed = |more: &str| Failure::new(code, format!("failed to get {what}: {why}; {more}"));
        let goes_on = "what is there is kept, so the same command goes on later where this one stopped";
        if self.made >= self.most {
            return Err(failed(&format!("it was tried {} times; {goes_on}", self.most)));
        }
        if let Some(after) = after.filter(|after| *after > WAIT_MAX) {
            let minutes = after.as_secs().div_ceil(60);
            return Err(failed(&format!("the hub asks to come back in {minutes} minutes; {goes_on}")));
        }
        let wait = after.unwrap_or_else(|| BACKOFF.saturating_mul(1 << (self.made - 1).min(16)));
        tracing::info!("{what}: {why}; asking again in {} ms", wait.as_millis());
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

impl Hub {
    /// The hub at `endpoint`. `token` is where a token lies, if anywhere.
    ///
    /// # Errors
    /// When the machine cannot speak TLS.
    pub fn new(endpoint: Url, token: Option<Source>) -> Result<Self, Failure> {
        let http = Downloader::new(concat!("thumbforge/", env!("CARGO_PKG_VERSION")))
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {err}")))?;
        Ok(Self { http, endpoint, token, shown: Mutex::new(None) })
    }

    /// Its address, for registries and messages.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// The page of a repository, for people.
    pub fn page(&self, repo: &str) -> String {
        format!("{}/{repo}", self.endpoint())
    }

    /// What `repo` has at `revision`.
    ///
    /// # Errors
    /// Why it is not known, and what to do.
    pub async fn list(&self, repo: &str, revision: &str) -> Result<Listing, Failure> {
        let url = self.url(&["api", "models"], repo, &["revision", revision], Some("blobs=true"))?;
        let what = format!("the listing of {repo}");
        let mut tries = Tries { made: 0, most: LISTING_TRIES_MAX };
        loop {
            let (why, after) = match self.ask(repo, &url, None).await? {
                Came::Bytes(opened) if opened.head.status == 200 => match opened.read(LISTING_BYTES_MAX).await {
                    Ok(bytes) => return self.read_listing(repo, &bytes),
                    Err(DownloadError::Broken(why)) => (why, None),
                    Err(error) => return Err(refused(&what, &error)),
                },
                Came::Bytes(opened) => (format!("{} answered {}", opened.head.host, opened.head.status), None),
                Came::Nothing { why, after } => (why, after),
                Came::Changed => return Err(self.failed(&what, "the hub answered without a listing")),
            };
            tries.wait(&what, &why, after).await?;
        }
    }

    /// Bytes of a file: those of `range`, or all.
    pub(super) async fn open(
        &self,
        repo: &str,
        commit: &str,
        path: &str,
        range: Option<Range<u64>>,
    ) -> Result<Came, Failure> {
        let parts: Vec<&str> = ["resolve", commit].into_iter().chain(path.split('/')).collect();
        let url = self.url(&[], repo, &parts, None)?;
        self.ask(repo, &url, range).await
    }

    /// Shows the token from now on, where there is one; for repositories that are known to want it.
    ///
    /// # Errors
    /// When it lies nowhere that it was said to lie.
    pub fn show_token(&self) -> Result<bool, Failure> {
        let Some(source) = &self.token else { return Ok(false) };
        let mut shown = self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.is_none() {
            let token = source.look_up().map_err(|reason| {
                Failure::new(ErrorCode::ProviderAuth, format!("failed to fetch the token of the hub: {reason}"))
            })?;
            *shown = Some(token);
        }
        Ok(true)
    }

    fn shown(&self) -> Option<Secret> {
        self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    async fn ask(&self, repo: &str, url: &Url, range: Option<Range<u64>>) -> Result<Came, Failure> {
        // Twice at most: without the token, and with it.
        for _ in 0..2 {
            let token = self.shown();
            let with_token = token.is_some();
            let ask = Ask { url: url.clone(), token, range: range.clone() };
            let opened = match self.http.open(&ask).await {
                Ok(opened) => opened,
                Err(DownloadError::Broken(why)) => return Ok(Came::Nothing { why, after: None }),
                Err(error) => return Err(refused(&format!("files of {repo}"), &error)),
            };
            let head = &opened.head;
            let nothing = || {
                let why = format!("{} answered {}", head.host, head.status);
                Ok(Came::Nothing { why, after: head.retry_after })
            };
            return match head.status {
                200 | 206 => Ok(Came::Bytes(Box::new(opened))),
                401 | 403 | 404 if head.at_home && !with_token && self.show_token()? => continue,
                401 | 403 if head.at_home => Err(self.denied(repo, head, with_token)),
                // An address of the store that has run out; the hub makes a new one.
                401 | 403 => nothing(),
                404 | 410 => Err(self.missing(repo, head, with_token)),
                416 => Ok(Came::Changed),
                408 | 429 | 500..=599 => nothing(),
                status => Err(self.failed(
                    &format!("files of {repo}"),
                    &format!("{} answered {status}, which no hub does; look at the address of the hub", head.host),
                )),
            };
        }
        Err(self.failed(&format!("files of {repo}"), "the hub does not take the token"))
    }

    fn denied(&self, repo: &str, head: &Head, with_token: bool) -> Failure {
        let page = self.page(repo);
        let give = "give a token: set HF_TOKEN, or say --token env:NAME, file:PATH, keyring:SERVICE/USER or login";
        match (head.error_code.as_deref(), with_token) {
            (Some("RepoNotFound"), false) => Failure::new(
                ErrorCode::NotFound,
                format!("failed to get {repo}: {} knows no such repository, or it is private; {give}", head.host),
            ),
            (Some("GatedRepo"), true) | (_, true) if head.status == 403 => Failure::new(
                ErrorCode::Forbidden,
                format!(
                    "failed to get {repo}: the account of the token has no access to it; accept its licence at \
                     {page} with that account, and let the token read gated repositories"
                ),
            ),
            (_, true) => Failure::new(
                ErrorCode::ProviderAuth,
                format!(
                    "failed to get {repo}: {} does not take the token; make one that may read at \
                     {}/settings/tokens, and accept the licence of the repository at {page}",
                    head.host,
                    self.endpoint()
                ),
            ),
            (_, false) => Failure::new(
                ErrorCode::Forbidden,
                format!(
                    "failed to get {repo}: it is given to accounts that accepted its licence; accept it at {page}, \
                     make a token that may read at {}/settings/tokens, and {give}",
                    self.endpoint()
                ),
            ),
        }
    }

    fn missing(&self, repo: &str, head: &Head, with_token: bool) -> Failure {
        let what = match head.error_code.as_deref() {
            Some("RevisionNotFound") => "it has no such revision",
            Some("EntryNotFound") => "it has no such file",
            _ if with_token => "there is no such repository, revision or file, or the token may not see it",
            _ => "there is no such repository, revision or file",
        };
        Failure::new(ErrorCode::NotFound, format!("failed to get {repo} from {}: {what}", head.host))
    }

    fn failed(&self, what: &str, why: &str) -> Failure {
        Failure::new(ErrorCode::ProviderFailed, format!("failed to get {what} from {}: {why}", self.endpoint()))
    }

    /// An address of the hub; every part is one segment of its path, whatever stands in it.
    fn url(&self, before: &[&str], repo: &str, after: &[&str], query: Option<&str>) -> Result<Url, Failure> {
        let mut url = self.endpoint.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
            }
            Err(()) => return Err(self.failed(repo, "its address cannot have paths")),
        }
        url.set_query(query);
        Ok(url)
    }

    fn read_listing(&self, repo: &str, bytes: &[u8]) -> Result<Listing, Failure> {
        let what = format!("the listing of {repo}");
        let listing: Value =
            serde_json::from_slice(bytes).map_err(|_| self.failed(&what, "the answer is no listing in JSON"))?;
        listing_of(repo, &listing).map_err(|why| self.failed(&what, &why))
    }
}

/// A refusal to ask at all.
fn refused(what: &str, error: &DownloadError) -> Failure {
    Failure::new(ErrorCode::ProviderFailed, format!("failed to get {what}: {error}"))
}

/// Reads a listing. Files whose names could not be ours are left out; whoever wants one by name is told.
fn listing_of(repo: &str, listing: &Value) -> Result<Listing, String> {
    let commit = listing["sha"].as_str().filter(|commit| names::revision(commit).is_ok() && !commit.contains('/'));
    let commit = commit.ok_or("it names no commit")?.to_owned();
    let siblings = listing["siblings"].as_array().ok_or("it lists no files")?;
    if siblings.len() > FILES_MAX {
        return Err(format!("it lists more than {FILES_MAX} files"));
    }
    let mut files = Vec::new();
    for sibling in siblings {
        let Some(path) = sibling["rfilename"].as_str().filter(|path| names::file(path).is_ok()) else { continue };
        let lfs = &sibling["lfs"];
        let Some(bytes) = lfs["size"].as_u64().or_else(|| sibling["size"].as_u64()) else {
            return Err("it does not say how large files are".to_owned());
        };
        if bytes > FILE_BYTES_MAX {
            return Err(format!("it says that {path} has {bytes} bytes, which no file has"));
        }
        let oid = lfs["sha256"].as_str().or_else(|| lfs["oid"].as_str());
        let sha256 = match oid {
            Some(oid) => Some(names::sha256(oid).ok_or_else(|| format!("the hash of {path} is none"))?),
            None => None,
        };
        let blob = sibling["blobId"].as_str().filter(|blob| blob.len() <= 64).unwrap_or(&commit);
        let content = sha256.as_ref().map_or_else(|| format!("git:{blob}"), |sha256| format!("sha256:{sha256}"));
        files.push(Listed { path: path.to_owned(), bytes, content, sha256 });
    }
    Ok(Listing { repo: repo.to_owned(), commit, licence: licence_of(listing), files })
}

/// The licence that a card names; where it says "other", the name that stands beside it.
fn licence_of(listing: &Value) -> Option<String> {
    let card = &listing["cardData"];
    let tags = listing["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let tag = || tags.iter().filter_map(Value::as_str).find_map(|tag| tag.strip_prefix("license:"));
    let licence = card["license"].as_str().or_else(tag).filter(|licence| *licence != "other");
    let sound = |id: &&str| {
        !id.is_empty()
            && id.len() <= 64
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    licence.or_else(|| card["license_name"].as_str()).filter(sound).map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listing_is_read_as_hubs_write_it() {
        let hash = "11".repeat(32);
        let listing = json!({
            "sha": "c0ffee", "gated": "auto", "tags": ["license:other"],
            "cardData": { "license": "other", "license_name": "StabilityAI-AI-Community" },
            "siblings": [
                { "rfilename": "m.safetensors", "size": 5_000_000_000_u64, "blobId": "b1",
                  "lfs": { "sha256": hash, "size": 5_000_000_000_u64, "pointerSize": 135 } },
                { "rfilename": "tokenizer/vocab.json", "size": 9, "blobId": "b2" },
                { "rfilename": "../up", "size": 9, "blobId": "b3" },
                { "rfilename": ".gitattributes", "size": 9, "blobId": "b4" },
            ],
        });
        let read = listing_of("a/b", &listing).unwrap();
        assert_eq!((read.commit.as_str(), read.licence.as_deref()), ("c0ffee", Some("stabilityai-ai-community")));
        let files: Vec<_> = read.files.iter().map(|it| (it.path.as_str(), it.bytes, it.content.as_str())).collect();
        let content = format!("sha256:{hash}");
        assert_eq!(files, [("m.safetensors", 5_000_000_000, &*content), ("tokenizer/vocab.json", 9, "git:b2")]);
    }

    #[test]
    fn listings_that_lie_are_refused() {
        #[track_caller]
        fn check(listing: Value, expected: &str) {
            let found = listing_of("a/b", &listing).unwrap_err();
            assert!(found.contains(expected), "{found}");
        }
        let file = |rest: Value| {
            let mut file = json!({ "rfilename": "m" });
            file.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            json!({ "sha": "c0ffee", "siblings": [file] })
        };
        check(json!([]), "no commit");
        check(json!({ "sha": "../../x", "siblings": [] }), "no commit");
        check(json!({ "sha": "c0ffee" }), "no files");
        check(file(json!({})), "how large");
        check(file(json!({ "size": -1 })), "how large");
        check(file(json!({ "size": u64::MAX })), "which no file has");
        check(file(json!({ "size": 1, "lfs": { "sha256": "abc" } })), "hash of m");
        check(json!({ "sha": "c", "siblings": vec![json!({}); FILES_MAX + 1] }), "more than");
    }

    #[test]
    fn addresses_keep_every_part_in_its_place() {
        #[track_caller]
        fn check(endpoint: &str, revision: &str, expected: &str) {
            let hub = Hub::new(endpoint.parse().unwrap(), None).unwrap();
            let url = hub.url(&["api", "models"], "a/b", &["revision", revision], Some("blobs=true")).unwrap();
            assert_eq!(url.as_str(), expected);
        }
        check("https://hub.example", "main", "https://hub.example/api/models/a/b/revision/main?blobs=true");
        check("https://m.example/hf/", "main", "https://m.example/hf/api/models/a/b/revision/main?blobs=true");
        check(
            "https://hub.example",
            "refs/pr/6",
            "https://hub.example/api/models/a/b/revision/refs%2Fpr%2F6?blobs=true",
        );
        check("https://hub.example", "x?y#z", "https://hub.example/api/models/a/b/revision/x%3Fy%23z?blobs=true");
    }
}
