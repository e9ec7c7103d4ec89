//! What a success of OpenAI's calls holds: pictures in base64 or at addresses, and tokens.

use std::borrow::Cow;

use serde::Deserialize;
use thumbforge_core::job::Outcome;
use url::Url;

use crate::adapter::openai::errors::shown;
use crate::adapter::{Reply, Step, read};
use crate::call::{Answer, Call, Picture, Usage};
use crate::endpoint::Endpoint;
use crate::fault::{Billed, Fault};

/// Pictures are borrowed from the body: a copy of each as text would double what a reply takes.
#[derive(Deserialize)]
struct Images<'a> {
    #[serde(borrow, default)]
    data: Option<Vec<Image<'a>>>,
    #[serde(default)]
    usage: Option<Tokens>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    b64_json: Option<Text<'a>>,
    #[serde(borrow, default)]
    url: Option<Text<'a>>,
    #[serde(default)]
    seed: Option<u64>,
}

/// serde borrows a `Cow` only where it is not within an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize, Default, Clone, Copy)]
struct Tokens {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    input_tokens_details: Option<Details>,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct Details {
    #[serde(default)]
    text_tokens: Option<u64>,
    #[serde(default)]
    image_tokens: Option<u64>,
}

impl Tokens {
    fn usage(self) -> Usage {
        let details = self.input_tokens_details.unwrap_or_default();
        Usage {
            // Without details all that went in counts as words.
            text_tokens: details.text_tokens.or(self.input_tokens),
            image_tokens: details.image_tokens,
            output_tokens: self.output_tokens,
            ..Usage::default()
        }
    }
}

/// What follows from a reply with status 200.
pub(in crate::adapter) fn read(endpoint: &Endpoint, call: &Call, reply: &Reply) -> Step {
    let head = format!("draw with {}: {} answered 200", shown(&call.model), endpoint.account);
    let Ok(images) = serde_json::from_slice::<Images<'_>>(&reply.body) else {
        let why = format!("{head} with what is not the JSON of pictures: {}", read::excerpt(&reply.body));
        // What begins like an answer and cannot be read may be a picture that was made and cut off. Anything else, a page
        // to log in say, was written by somebody who makes none.
        let begins = reply.body.trim_ascii_start().starts_with(b"{");
        let outcome = if begins { Outcome::Ambiguous } else { Outcome::Empty };
        return Step::Failed(Fault::new(outcome, why).billed(Billed::Unknown));
    };
    let usage = images.usage.unwrap_or_default().usage();
    let provider_id = reply.header("x-request-id").filter(|id| id.len() <= 200).map(str::to_owned);
    let items = images.data.unwrap_or_default();
    let mut pictures = Vec::new();
    let mut urls = Vec::new();
    for item in &items {
        let url = item.url.as_ref().map(|text| text.0.as_ref()).unwrap_or_default();
        let inline = item.b64_json.as_ref().map(|text| text.0.as_ref()).or(url.starts_with("data:").then_some(url));
        if let Some(bytes) = inline.and_then(read::picture) {
            pictures.push(Picture { bytes, seed: item.seed });
        } else if inline.is_none()
            && let Some(url) = address(endpoint, url)
        {
            urls.push((url, item.seed));
        }
    }
    if !pictures.is_empty() {
        return Step::Done(Answer { pictures, usage, provider_id });
    }
    if !urls.is_empty() {
        return Step::Fetch { urls, usage, provider_id };
    }
    let (why, billed) = match (&images.error, items.is_empty()) {
        (Some(error), _) if !error.is_null() => (format!("with an error: {}", excerpt(error)), Billed::Unknown),
        (_, true) => ("without a picture".to_owned(), Billed::Unknown),
        (_, false) => ("with a picture that is no base64".to_owned(), Billed::Yes),
    };
    let fault = Fault::new(Outcome::Empty, format!("{head} {why}")).billed(billed);
    Step::Failed(Fault { usage, provider_id, ..fault })
}

fn excerpt(error: &serde_json::Value) -> String {
    let text = error.get("message").unwrap_or(error);
    text.as_str().map_or_else(|| text.to_string(), str::to_owned).chars().take(300).collect()
}

/// The whole address of a result: some servers write it relative to what was asked.
fn address(endpoint: &Endpoint, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let asked = format!("{}/images/generations", endpoint.base_url.as_str().trim_end_matches('/'));
    Some(Url::parse(&asked).ok()?.join(text).ok()?.into())
}
