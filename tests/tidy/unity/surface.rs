//! What C# declares for others: types, members and their signatures, written as the indexes of Unity's sources are.

use std::collections::BTreeMap;

use super::lexer::tokens;

/// A type that others see.
#[derive(Debug, Default)]
pub(super) struct Type {
    pub(super) kind: String,
    /// Name and signature.
    pub(super) members: Vec<(String, String)>,
}

/// Everything that files declare for others, by full name.
#[derive(Debug, Default)]
pub(super) struct Surface {
    pub(super) types: BTreeMap<String, Type>,
}

const MODIFIERS: [&str; 18] = [
    "public",
    "protected",
    "internal",
    "private",
    "static",
    "sealed",
    "abstract",
    "virtual",
    "override",
    "readonly",
    "const",
    "partial",
    "unsafe",
    "async",
    "event",
    "new",
    "extern",
    "volatile",
];

impl Surface {
    /// Adds what a file declares.
    pub(super) fn read(&mut self, source: &str) -> Result<(), String> {
        let tokens = tokens(source);
        let mut reader = Reader { surface: self, tokens: &tokens, at: 0 };
        reader.scope("", "namespace")
    }

    /// One line for every type and member, sorted.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, declared) in &self.types {
            lines.push(format!("{name} {}", declared.kind));
            lines.extend(declared.members.iter().map(|(member, signature)| format!("{name} {member} {signature}")));
        }
        lines.sort();
        lines.dedup();
        lines
    }
}

/// The numbers of an enum's words; none where it cannot be told.
pub(super) fn numbers(words: &[(String, String)]) -> Vec<(String, Option<i64>)> {
    let mut known: Vec<(String, Option<i64>)> = Vec::new();
    for (word, text) in words {
        let number = match text.as_str() {
            "?" => known.last().map_or(Some(0), |(_, last)| last.map(|last| last + 1)),
            text => text.split('|').try_fold(0, |sum, part| Some(sum | shifted(part, &known)?)),
        };
        known.push((word.clone(), number));
    }
    known
}

fn shifted(text: &str, known: &[(String, Option<i64>)]) -> Option<i64> {
    let mut parts = text.split("<<");
    let first = parts.next()?;
    let number = match first.trim_end_matches(['u', 'U', 'l', 'L']).parse() {
        Ok(number) => number,
        Err(_) => known.iter().find(|(word, _)| word == first)?.1?,
    };
    parts.try_fold(number, |number: i64, by| number.checked_shl(by.parse().ok()?))
}

struct Reader<'a> {
    surface: &'a mut Surface,
    tokens: &'a [String],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    /// Goes past what the token at hand opens.
    fn skip(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.next().as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Goes to one of the signs, past everything in brackets.
    fn until(&mut self, signs: &[&str]) {
        while self.at < self.tokens.len() && !signs.contains(&self.peek()) {
            if matches!(self.peek(), "{" | "(" | "[") { self.skip() } else { self.at += 1 }
        }
    }

    /// The inside of a namespace or a type, up to its closing brace or the file's end.
    fn scope(&mut self, full: &str, kind: &str) -> Result<(), String> {
        while self.at < self.tokens.len() {
            match self.peek() {
                "}" => break,
                "[" => self.skip(),
                "using" => {
                    self.until(&[";"]);
                    self.at += 1;
                }
                "namespace" => {
                    self.at += 1;
                    let mut name = String::new();
                    while !matches!(self.peek(), "{" | "") {
                        name += &self.next();
                    }
                    self.inside(&joined(full, &name), "namespace")?;
                }
                _ => self.declaration(full, kind)?,
            }
        }
        Ok(())
    }

    fn inside(&mut self, full: &str, kind: &str) -> Result<(), String> {
        self.at += 1;
        self.scope(full, kind)?;
        if self.next() == "}" { Ok(()) } else { Err(format!("{full} has no end")) }
    }

    fn declaration(&mut self, full: &str, kind: &str) -> Result<(), String> {
        let mut modifiers = Vec::new();
        while MODIFIERS.contains(&self.peek()) {
            modifiers.push(self.next());
        }
        let has = |word: &str| modifiers.iter().any(|modifier| modifier == word);
        let hidden = has("private") || has("internal");
        let seen = has("public") || (has("protected") && !has("private")) || (kind == "interface" && !hidden);
        match self.peek() {
            "class" | "struct" | "interface" | "enum" => self.declared_type(full, seen || (has("partial") && !hidden)),
            "delegate" => {
                self.at += 1;
                self.member(full, true, "", false, seen)
            }
            _ => {
                let mut prefix = String::new();
                for (given, word) in [
                    (has("protected") && !has("public"), "protected "),
                    (has("static") || has("const"), "static "),
                    (has("event"), "event "),
                ] {
                    prefix += if given { word } else { "" };
                }
                self.member(full, false, &prefix, has("event"), seen)
            }
        }
    }

    fn declared_type(&mut self, full: &str, seen: bool) -> Result<(), String> {
        let kind = self.next();
        let mut name = self.next();
        if self.peek() == "<" {
            name += &format!("`{}", arity(&self.angles()));
        }
        self.until_brace();
        if !seen {
            self.skip();
            return Ok(());
        }
        let full = joined(full, &name);
        self.surface.types.entry(full.clone()).or_default().kind.clone_from(&kind);
        if kind == "enum" { self.words(&full) } else { self.inside(&full, &kind) }
    }

    /// Past bases and constraints.
    fn until_brace(&mut self) {
        while !matches!(self.peek(), "{" | "") {
            if self.peek() == "(" { self.skip() } else { self.at += 1 }
        }
    }

    fn words(&mut self, full: &str) -> Result<(), String> {
        self.at += 1;
        let mut words: Vec<(String, String)> = Vec::new();
        while !matches!(self.peek(), "}" | "") {
            match self.peek() {
                "[" => self.skip(),
                "," => self.at += 1,
                _ => {
                    let word = self.next();
                    let mut value = String::new();
                    while !matches!(self.peek(), "," | "}" | "") {
                        value += &self.next();
                    }
                    let value = value.strip_prefix('=').map_or("?", |value| value).to_owned();
                    words.push((word, value));
                }
            }
        }
        self.at += 1;
        for (word, number) in numbers(&words) {
            let number = number.ok_or_else(|| format!("{full}.{word} has no number that can be told"))?;
            self.add(full, &word, format!("= {number}"));
        }
        Ok(())
    }

    /// A method, constructor, property, event, field or delegate.
    fn member(&mut self, full: &str, delegate: bool, prefix: &str, event: bool, seen: bool) -> Result<(), String> {
        let mut head: Vec<String> = Vec::new();
        while !matches!(self.peek(), "(" | "{" | ";" | "=" | "=>" | "}" | "") {
            match self.peek() {
                "[" if head.last().is_some_and(|word| word == "this") => self.skip(),
                "operator" => return self.passed_over(),
                "~" => return self.passed_over(),
                _ => head.push(self.next()),
            }
        }
        let generic = if head.last().is_some_and(|word| word == ">") { cut_angles(&mut head) } else { 0 };
        let name = head.pop().ok_or_else(|| format!("{full}: no name before {:?}", self.peek()))?;
        let seen = seen && name != "this";
        let arity = if generic > 0 { format!("`{generic}") } else { String::new() };
        let returns = normal(&head);
        match self.peek() {
            "(" => {
                let parameters = self.parameters();
                self.body();
                if !seen {
                } else if delegate {
                    let full = joined(full, &(name + &arity));
                    self.surface.types.entry(full.clone()).or_default().kind = "delegate".to_owned();
                    self.add(&full, "Invoke", format!("{returns}({parameters})"));
                } else if returns.is_empty() {
                    if prefix != "static " {
                        self.add(full, ".ctor", format!("{prefix}({parameters})"));
                    }
                } else {
                    self.add(full, &name, format!("{prefix}{returns}{arity}({parameters})"));
                }
            }
            "{" if event => {
                self.skip();
                self.add_if(seen, full, &name, format!("{prefix}{returns}"));
            }
            "{" => {
                let accessors = self.accessors();
                if self.peek() == "=" {
                    self.until(&[";"]);
                    self.at += 1;
                }
                self.add_if(seen, full, &name, format!("{prefix}{returns}{{{accessors}}}"));
            }
            "=>" => {
                self.body();
                self.add_if(seen, full, &name, format!("{prefix}{returns}{{get;}}"));
            }
            _ => {
                self.until(&[";"]);
                self.at += 1;
                self.add_if(seen, full, &name, format!("{prefix}{returns}"));
            }
        }
        Ok(())
    }

    fn passed_over(&mut self) -> Result<(), String> {
        self.until_body();
        self.body();
        Ok(())
    }

    fn until_body(&mut self) {
        while !matches!(self.peek(), "{" | ";" | "=>" | "") {
            if self.peek() == "(" { self.skip() } else { self.at += 1 }
        }
    }

    /// Past what follows a parameter list or an arrow.
    fn body(&mut self) {
        self.until_body();
        if self.peek() == "{" {
            self.skip();
        } else {
            self.until(&[";"]);
            self.at += 1;
        }
    }

    fn accessors(&mut self) -> String {
        let (mut accessors, mut hidden) = (String::new(), false);
        self.at += 1;
        while !matches!(self.peek(), "}" | "") {
            match self.next().as_str() {
                "private" | "internal" => hidden = true,
                word @ ("get" | "set") => {
                    if !std::mem::take(&mut hidden) {
                        accessors += &format!("{word};");
                    }
                    self.body();
                }
                _ => {}
            }
        }
        self.at += 1;
        accessors
    }

    fn parameters(&mut self) -> String {
        let from = self.at + 1;
        self.skip();
        let mut parts: Vec<Vec<String>> = vec![Vec::new()];
        let mut depth = 0;
        for token in &self.tokens[from..self.at - 1] {
            depth += i32::from(matches!(token.as_str(), "<" | "[" | "("));
            depth -= i32::from(matches!(token.as_str(), ">" | "]" | ")"));
            match (token.as_str(), parts.last_mut()) {
                (",", _) if depth == 0 => parts.push(Vec::new()),
                (_, Some(part)) => part.push(token.clone()),
                (_, None) => {}
            }
        }
        let written = parts.iter().filter(|part| !part.is_empty()).map(|part| parameter(part));
        written.collect::<Vec<_>>().join(",")
    }

    fn angles(&mut self) -> Vec<String> {
        let (from, mut depth) = (self.at, 0);
        while self.at < self.tokens.len() {
            match self.next().as_str() {
                "<" => depth += 1,
                ">" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.tokens[from..self.at].to_vec()
    }

    fn add_if(&mut self, seen: bool, full: &str, member: &str, signature: String) {
        if seen {
            self.add(full, member, signature);
        }
    }

    fn add(&mut self, full: &str, member: &str, signature: String) {
        let members = &mut self.surface.types.entry(full.to_owned()).or_default().members;
        members.push((member.to_owned(), signature));
    }
}

fn joined(full: &str, name: &str) -> String {
    if full.is_empty() { name.to_owned() } else { format!("{full}.{name}") }
}

fn arity(angles: &[String]) -> usize {
    angles.iter().filter(|token| *token == ",").count() + 1
}

/// Takes `<A,B>` off the end; how many there are.
fn cut_angles(head: &mut Vec<String>) -> usize {
    let mut depth = 0;
    let opening = head.iter().rposition(|token| {
        depth += i32::from(token == ">") - i32::from(token == "<");
        depth == 0
    });
    opening.map_or(0, |opening| arity(&head.split_off(opening)))
}

/// A parameter as its modifier, its type, and whether it may be left out.
fn parameter(part: &[String]) -> String {
    let (mut part, mut modifier) = (part, String::new());
    while let Some((first, rest)) = part.split_first() {
        match first.as_str() {
            "this" => {}
            "ref" | "out" | "in" | "params" => modifier = format!("{first} "),
            _ => break,
        }
        part = rest;
    }
    let equals = part.iter().position(|token| token == "=");
    let optional = if equals.is_some() { "=opt" } else { "" };
    let declared = &part[..equals.unwrap_or(part.len())];
    format!("{modifier}{}{optional}", normal(&declared[..declared.len().saturating_sub(1)]))
}

/// A type's name: only the last part of a dotted one, C#'s own words for its own types.
fn normal(tokens: &[String]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for token in tokens {
        if kept.last() == Some(&".") {
            kept.truncate(kept.len().saturating_sub(2));
        }
        kept.push(match token.as_str() {
            "String" => "string",
            "Int32" => "int",
            "UInt32" => "uint",
            "Int64" => "long",
            "UInt64" => "ulong",
            "Single" => "float",
            "Double" => "double",
            "Boolean" => "bool",
            "Byte" => "byte",
            "Void" => "void",
            other => other,
        });
    }
    kept.concat()
}
