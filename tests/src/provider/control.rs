//! The same provider for programs in other languages: its book can be read, and rules be given, over HTTP.
//!
//! ```text
//! GET    /_/book    {"pictures":3,"charges":[{"prompt","model","dialect","pictures","request"}],"twice":{},"requests":9}
//! POST   /_/rules   {"path":"/images","prompt":"fox","after":2,"times":1,"lasting_ms":500,
//!                    "status":429,"headers":{"retry-after":"1"},"body":{}, "delivery":"whole|cut|reset|closed", "made":false}
//! DELETE /_/rules
//! ```
//! These requests are neither counted nor remembered.

use std::time::Duration;

use serde_json::{Value, json};

use super::rule::{Act, Answer, Delivery, Reply, Rule, Standing};
use super::{Recorded, Shared, lock};

/// The answer to a request of the control, if it is one.
pub(super) fn answer(shared: &Shared, request: &Recorded) -> Option<Reply> {
    let what = request.path.strip_prefix("/_/")?;
    Some(match (request.method.as_str(), what) {
        ("GET", "book") => Reply::json(200, &book(shared)),
        ("POST", "rules") => match rule(request.json()) {
            Some(rule) => {
                lock(&shared.rules).push(Standing::new(rule));
                Reply::json(200, &json!({}))
            }
            None => Reply::json(400, &json!({"error": "a rule has a status, or a delivery of cut, reset or closed"})),
        },
        ("DELETE", "rules") => {
            lock(&shared.rules).clear();
            Reply::json(200, &json!({}))
        }
        _ => Reply::json(404, &json!({"error": "there are /_/book and /_/rules"})),
    })
}

fn book(shared: &Shared) -> Value {
    let book = lock(&shared.book);
    let charges: Vec<Value> = book
        .charges
        .iter()
        .map(|charge| {
            json!({
                "prompt": charge.prompt, "model": charge.model, "dialect": charge.dialect,
                "pictures": charge.pictures, "request": charge.request,
            })
        })
        .collect();
    let twice: serde_json::Map<String, Value> =
        book.billed_twice().into_iter().map(|(prompt, times)| (prompt.to_owned(), times.into())).collect();
    json!({
        "pictures": book.pictures(), "charges": charges, "twice": twice,
        "in_flight_max": book.in_flight_max,
        "requests": shared.requests.load(std::sync::atomic::Ordering::Relaxed),
    })
}

fn rule(asked: &Value) -> Option<Rule> {
    let text = |name: &str| asked.get(name).and_then(Value::as_str);
    let number = |name: &str| asked.get(name).and_then(Value::as_u64);
    let status = number("status").and_then(|status| u16::try_from(status).ok()).filter(|s| (100..1000).contains(s));
    let delivery = match text("delivery").unwrap_or("whole") {
        "cut" => Delivery::Cut(40),
        "reset" => Delivery::Reset,
        "closed" => Delivery::Closed,
        "whole" if status.is_some() => Delivery::Whole,
        _ => return None,
    };
    let made = asked.get("made").and_then(Value::as_bool).unwrap_or(false);
    let reply = |status| {
        let mut reply = Reply::json(status, asked.get("body").unwrap_or(&json!({})));
        for (name, value) in asked.get("headers").and_then(Value::as_object).into_iter().flatten() {
            reply = reply.header(name, value.as_str().unwrap_or_default());
        }
        reply
    };
    let answer = match status.map(reply) {
        Some(reply) if made => Answer::Lost(reply),
        Some(reply) => Answer::Reply(reply),
        None => Answer::Own,
    };
    let mut rule = Rule::new(Act { answer, delivery });
    if let Some(path) = text("path") {
        rule = rule.path(path);
    }
    if let Some(prompt) = text("prompt") {
        rule = rule.prompt(prompt);
    }
    if let Some(after) = number("after") {
        rule = rule.after(after);
    }
    if let Some(times) = number("times") {
        rule = rule.times(times);
    }
    if let Some(ms) = number("lasting_ms") {
        rule = rule.lasting(Duration::from_millis(ms));
    }
    Some(rule)
}
