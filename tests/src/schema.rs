//! As much of JSON Schema as published API files use, so that requests and answers are held against those files.
//!
//! A keyword that is not known here is a panic: a check that passes over half of a schema is none.

use serde_json::{Map, Value};

/// The schemas of an OpenAPI file.
pub struct Schemas(Map<String, Value>);

/// Whether fields that a schema does not name are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// As JSON Schema has it.
    Allowed,
    /// As servers have it that refuse parameters which they do not know.
    Refused,
}

/// Deepest nesting; a schema that refers to itself without end is a mistake of the file.
const DEPTH_MAX: usize = 40;

impl Schemas {
    /// Those of an OpenAPI file in JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn read(text: &str) -> Self {
        let file: Value = serde_json::from_str(text).expect("JSON");
        let schemas = file.pointer("/components/schemas").and_then(Value::as_object);
        Self(schemas.expect("components/schemas").clone())
    }

    /// What is wrong with `value` by the schema `name`; empty when nothing is.
    ///
    /// # Panics
    /// Where there is no such schema, or it uses what is not known here.
    pub fn check(&self, name: &str, value: &Value, unnamed: Unnamed) -> Vec<String> {
        let mut wrong = Vec::new();
        self.visit(&self.0[name], value, unnamed, "", 0, &mut wrong);
        wrong
    }

    fn visit(&self, schema: &Value, value: &Value, unnamed: Unnamed, at: &str, depth: usize, wrong: &mut Vec<String>) {
        assert!(depth < DEPTH_MAX, "{at}: the schema has no end");
        let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: {schema} is no schema"));
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return;
        }
        let holds = |schema: &Value| {
            let mut inner = Vec::new();
            self.visit(schema, value, unnamed, at, depth + 1, &mut inner);
            inner
        };
        for (keyword, rule) in schema {
            let mut say = |what: String| wrong.push(format!("{}: {what}", if at.is_empty() { "/" } else { at }));
            let number = || rule.as_f64().expect("a number");
            let count = || rule.as_u64().expect("a count") as usize;
            match keyword.as_str() {
                "$ref" => {
                    let name = rule.as_str().and_then(|path| path.rsplit('/').next()).expect("a reference");
                    wrong.extend(holds(&self.0[name]));
                }
                "type" if !is(rule.as_str().expect("one type"), value) => say(format!("{value} is no {rule}")),
                "enum" if !rule.as_array().expect("a list").contains(value) => say(format!("{value} is not in {rule}")),
                "minimum" if value.as_f64().is_some_and(|value| value < number()) => say(format!("{value} < {rule}")),
                "maximum" if value.as_f64().is_some_and(|value| value > number()) => say(format!("{value} > {rule}")),
                "minItems" if value.as_array().is_some_and(|list| list.len() < count()) => {
                    say(format!("fewer than {rule}"))
                }
                "maxItems" if value.as_array().is_some_and(|list| list.len() > count()) => {
                    say(format!("more than {rule}"))
                }
                "minLength" if value.as_str().is_some_and(|text| text.chars().count() < count()) => {
                    say(format!("shorter than {rule}"));
                }
                "maxLength" if value.as_str().is_some_and(|text| text.chars().count() > count()) => {
                    say(format!("longer than {rule}"));
                }
                "required" => {
                    for name in rule.as_array().expect("a list").iter().filter_map(Value::as_str) {
                        if value.as_object().is_some_and(|fields| !fields.contains_key(name)) {
                            say(format!("{name} is missing"));
                        }
                    }
                }
                "anyOf" => {
                    let ways: Vec<_> = rule.as_array().expect("a list").iter().map(holds).collect();
                    if !ways.iter().any(Vec::is_empty) {
                        wrong.extend(ways.into_iter().min_by_key(Vec::len).expect("at least one way"));
                    }
                }
                "not" if holds(rule).is_empty() => say("it is what it must not be".into()),
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.visit(rule, item, unnamed, &format!("{at}/{number}"), depth + 1, wrong);
                    }
                }
                "properties" => {
                    let fields = rule.as_object().expect("fields");
                    for (name, item) in value.as_object().into_iter().flatten() {
                        let at = format!("{at}/{name}");
                        match fields.get(name) {
                            Some(schema) => self.visit(schema, item, unnamed, &at, depth + 1, wrong),
                            None if unnamed == Unnamed::Refused => wrong.push(format!("{at}: no such field")),
                            None => {}
                        }
                    }
                }
                "additionalProperties" if rule == &Value::Bool(false) => {
                    let known = schema.get("properties").and_then(Value::as_object);
                    for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
                        if !known.is_some_and(|known| known.contains_key(name)) {
                            say(format!("{name} is one field too many"));
                        }
                    }
                }
                // Those above whose condition does not hold, and those that say nothing about JSON values.
                "type" | "enum" | "minimum" | "maximum" | "minItems" | "maxItems" | "minLength" | "maxLength"
                | "not" | "format" | "nullable" => {}
                other => panic!("{at}: the keyword {other} is not known here"),
            }
        }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(schema: Value, value: Value, expected: &[&str]) {
        let file = json!({"components": {"schemas": {"A": schema, "B": {"type": "integer", "maximum": 3}}}});
        assert_eq!(Schemas::read(&file.to_string()).check("A", &value, Unnamed::Allowed), expected);
    }

    #[test]
    fn keywords() {
        check(json!({"type": "string"}), json!(1), &["/: 1 is no \"string\""]);
        check(json!({"type": "integer", "nullable": true}), json!(null), &[]);
        check(json!({"type": "integer"}), json!(1.5), &["/: 1.5 is no \"integer\""]);
        check(json!({"enum": ["a"]}), json!("b"), &["/: \"b\" is not in [\"a\"]"]);
        check(json!({"minimum": 2, "maximum": 3}), json!(4), &["/: 4 > 3"]);
        check(json!({"minimum": 2}), json!(1), &["/: 1 < 2"]);
        check(json!({"minItems": 1}), json!([]), &["/: fewer than 1"]);
        check(json!({"maxItems": 1}), json!([1, 2]), &["/: more than 1"]);
        check(json!({"minLength": 1}), json!(""), &["/: shorter than 1"]);
        check(json!({"maxLength": 1}), json!("ab"), &["/: longer than 1"]);
        check(json!({"required": ["x"]}), json!({}), &["/: x is missing"]);
        check(
            json!({"properties": {"x": {"$ref": "#/components/schemas/B"}}}),
            json!({"x": 4, "y": 1}),
            &["/x: 4 > 3"],
        );
        check(json!({"items": {"$ref": "#/components/schemas/B"}}), json!([1, "2"]), &["/1: \"2\" is no \"integer\""]);
        check(json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(null), &[]);
        check(json!({"anyOf": [{"type": "string"}, {"enum": [7]}]}), json!(1), &["/: 1 is no \"string\""]);
        check(json!({"not": {"required": ["x"]}}), json!({"x": 1}), &["/: it is what it must not be"]);
        check(
            json!({"properties": {}, "additionalProperties": false}),
            json!({"x": 1}),
            &["/: x is one field too many"],
        );
    }

    #[test]
    fn fields_that_nobody_knows() {
        let file = json!({"components": {"schemas": {"A": {"properties": {"x": {}}}}}});
        let wrong = Schemas::read(&file.to_string()).check("A", &json!({"x": 1, "seed": 2}), Unnamed::Refused);
        assert_eq!(wrong, ["/seed: no such field"]);
    }

    #[test]
    #[should_panic(expected = "the keyword multipleOf is not known here")]
    fn keywords_that_are_not_known_are_told() {
        check(json!({"multipleOf": 2}), json!(3), &[]);
    }
}
