//! Where a provider is reached, and with which key.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use url::Url;

/// A key. It is shown to nobody: neither `Debug` nor any error has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`, without the line end that files have.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Self(text)
    }

    /// The key itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where calls of one account go.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The account's name, for messages.
    pub account: String,
    /// Address that paths are put behind, with neither query nor fragment.
    pub base_url: Url,
    /// The key; absent for servers of one's own.
    pub key: Option<Secret>,
    /// What single providers need besides: `project` and `location` of Vertex, `organization` of OpenAI, `workflow` of ComfyUI.
    pub options: BTreeMap<String, String>,
    /// Whether results may be fetched from private addresses and without TLS; for servers of one's own.
    pub allow_private: bool,
    /// Longest time that one answer may take.
    pub timeout: Duration,
}
