//! What callers want as text of a completion: the realised key in digits, and why it failed.
//!
//! A failure's sentence comes inside a completion's JSON. It is the one text that is read from there, so a scanner of a
//! page does instead of a JSON library three times its host's size.

use thumbforge_channel::client::{Completion, Outcome};
use thumbforge_core::id::RealisedKey;

/// The realised key in hexadecimal digits; empty where there is no picture.
pub(crate) fn key(completion: &Completion) -> String {
    if completion.key == [0; 32] { String::new() } else { RealisedKey(completion.key).to_string() }
}

/// Why it failed; empty where it did not.
pub(crate) fn message(completion: &Completion) -> String {
    if completion.outcome == Outcome::Done {
        return String::new();
    }
    failure_message(&completion.detail).unwrap_or_default()
}

/// The text at `failure.message`; `None` where there is none, or where this is no JSON.
fn failure_message(json: &[u8]) -> Option<String> {
    let mut scan = Scan { rest: std::str::from_utf8(json).ok()? };
    scan.field("failure")?;
    scan.field("message")?;
    scan.string()
}

/// Deepest nesting that is passed over: four times what a failure has.
const DEPTH_MAX: u32 = 32;

/// A place in JSON that is known to be UTF-8. Every step forward is one character or one value, so it ends.
struct Scan<'a> {
    rest: &'a str,
}

impl Scan<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Goes past `mark` and the space around it, if it comes next.
    fn eat(&mut self, mark: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(mark)?;
        self.space();
        Some(())
    }

    /// Goes into an object, to the value of a field.
    fn field(&mut self, name: &str) -> Option<()> {
        self.eat('{')?;
        loop {
            let found = self.string()? == name;
            self.eat(':')?;
            if found {
                return Some(());
            }
            self.skip(DEPTH_MAX)?;
            self.eat(',')?;
        }
    }

    /// Goes past a value.
    fn skip(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.rest.chars().next()? {
            '"' => drop(self.string()?),
            '{' => {
                self.eat('{')?;
                while self.eat('}').is_none() {
                    self.string()?;
                    self.eat(':')?;
                    self.skip(depth)?;
                    // A comma, or the end that the loop looks for.
                    if self.eat(',').is_none() && !self.rest.starts_with('}') {
                        return None;
                    }
                }
            }
            '[' => {
                self.eat('[')?;
                while self.eat(']').is_none() {
                    self.skip(depth)?;
                    if self.eat(',').is_none() && !self.rest.starts_with(']') {
                        return None;
                    }
                }
            }
            _ => {
                let word = self.rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
                if word == 0 {
                    return None;
                }
                self.rest = &self.rest[word..];
            }
        }
        Some(())
    }

    /// Reads a string.
    fn string(&mut self) -> Option<String> {
        self.space();
        let mut text = String::new();
        let mut chars = self.rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => escaped(&mut chars)?,
                    plain => plain,
                }),
                plain => text.push(plain),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }
}

/// A character in four hexadecimal digits, or in two times four.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let mut unit = || (0..4).try_fold(0, |unit, _| Some(unit * 16 + chars.next()?.to_digit(16)?));
    let first = unit()?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if (chars.next()?, chars.next()?) != ('\\', 'u') {
        return None;
    }
    let mut unit = || (0..4).try_fold(0, |unit, _| Some(unit * 16 + chars.next()?.to_digit(16)?));
    let second = unit()?.checked_sub(0xdc00).filter(|second| *second < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Option<&str>) {
        assert_eq!(failure_message(json.as_bytes()).as_deref(), expected, "{json}");
    }

    #[test]
    fn the_sentence_is_found_where_it_stands() {
        check(r#"{"failure":{"code":"internal","message":"failed to draw"}}"#, Some("failed to draw"));
        check(" { \"failure\" : {\n\"message\" : \"x\" } } ", Some("x"));
        check(r#"{"a":[1,{"b":[]},"]"],"c":{},"d":null,"failure":{"x":-1.5e3,"message":"y"}}"#, Some("y"));
        check(r#"{"note":{"message":"other"},"failure":{"message":"own"}}"#, Some("own"));
    }

    #[test]
    fn escapes_are_read() {
        check(r#"{"failure":{"message":"a \"b\" \\ \/ \n \u00fc \ud83d\ude00"}}"#, Some("a \"b\" \\ / \n ü 😀"));
        check(r#"{"failure":{"message":"\udc00"}}"#, Some("\u{fffd}"));
        check("{\"failure\":{\"message\":\"日本\"}}", Some("日本"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let deep = format!("{{\"a\":{},\"failure\":{{\"message\":\"x\"}}}}", "[".repeat(100_000));
        for json in
            ["", "{", "[]", "{}", "null", "{\"render\":{}}", "{\"failure\":{}}", "{\"failure\":\"message\"}", &deep]
        {
            check(json, None);
        }
        for json in [r#"{"failure":{"message":"#, r#"{"failure":{"message":"x"#, r#"{"failure":{"message":"\u12"}}"#] {
            check(json, None);
        }
        check(r#"{"failure":{"message":"\ud83dx"}}"#, None);
        check(r#"{"failure":{"message":7}}"#, None);
        check(r#"{"a":1 2,"failure":{"message":"x"}}"#, None);
        assert_eq!(failure_message(b"{\"failure\":{\"message\":\"\xff\"}}"), None);
    }

    #[test]
    fn what_the_core_writes_is_read() {
        let failure = thumbforge_core::error::Failure::new(
            thumbforge_core::error::ErrorCode::EngineFailed,
            "failed to draw \u{1}\"SALE\" (日本)\\: try again\n",
        );
        let json = format!("{{\"failure\":{}}}", serde_json::to_string(&failure).unwrap());
        check(&json, Some(&failure.message));
    }
}
