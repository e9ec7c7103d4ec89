//! The doubles of Unity's API, and of its Localization package, declare nothing that these do not have, in every version
//! that the package supports.
//!
//! A lock lists what they declare and what was found in Unity's own sources. Whoever adds a double writes it anew from
//! indexes of those sources (JSON: type → kind, bases, members with their signatures, what is obsolete), one for each
//! version:
//!
//! `THUMBFORGE_UNITY_INDEXES=2022.3.76f1.json:6000.3.19f1.json cargo test -p thumbforge-tests --test tidy unity`
//! `THUMBFORGE_LOCALIZATION_INDEXES=1.5.1.json:1.5.7.json cargo test -p thumbforge-tests --test tidy unity`

mod lexer;
mod surface;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::{files, none, root, text};
use surface::{Surface, Type};

/// Doubles of one thing.
struct Doubles {
    /// What they stand in for.
    of: &'static str,
    folder: &'static str,
    lock: &'static str,
    /// The variable that names the indexes to write the lock from.
    indexes: &'static str,
    /// Fewer types than this were not looked at at all.
    types_min: usize,
}

const EDITOR: Doubles = Doubles {
    of: "Unity",
    folder: "tests/csharp/doubles/",
    lock: "tests/csharp/unity-api.lock",
    indexes: "THUMBFORGE_UNITY_INDEXES",
    types_min: 30,
};

const LOCALIZATION: Doubles = Doubles {
    of: "com.unity.localization",
    folder: "tests/csharp/doubles-localization/",
    lock: "tests/csharp/localization-api.lock",
    indexes: "THUMBFORGE_LOCALIZATION_INDEXES",
    types_min: 15,
};

impl Doubles {
    /// What they declare.
    fn surface(&self) -> Surface {
        let mut surface = Surface::default();
        for path in files().into_iter().filter(|path| path.starts_with(self.folder) && path.ends_with(".cs")) {
            surface.read(&text(&path)).unwrap_or_else(|err| panic!("{path}: {err}"));
        }
        assert!(surface.types.len() > self.types_min, "{} has {} types", self.folder, surface.types.len());
        surface
    }
}

#[test]
fn unity_has_what_the_doubles_declare() {
    locked(&EDITOR);
}

#[test]
fn the_localization_package_has_what_its_doubles_declare() {
    locked(&LOCALIZATION);
}

fn locked(doubles: &Doubles) {
    let surface = doubles.surface();
    if let Some(indexes) = std::env::var_os(doubles.indexes) {
        rewrite(doubles, &surface, &std::env::split_paths(&indexes).collect::<Vec<_>>());
    }
    let declared: BTreeSet<String> = surface.lines().into_iter().collect();
    let lock = text(doubles.lock);
    let listed: Vec<&str> = lock.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(listed.is_sorted(), "{} is not sorted: write it anew, as tests/tidy/unity.rs says", doubles.lock);
    let known: BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
    let unknown = declared.difference(&known).cloned().collect();
    none("doubles of what is not known to be Unity's (tests/tidy/unity.rs says how to add it)", unknown);
    none("lines of the lock that no double declares any more", known.difference(&declared).cloned().collect());
}

/// What the sources of one version declare. Words of an enum without a number count from the one before them, so their
/// order matters; the JSON reader sorts them, and the text knows.
struct Index {
    types: Value,
    text: String,
}

impl Index {
    fn read(text: String) -> serde_json::Result<Self> {
        Ok(Self { types: serde_json::from_str(&text)?, text })
    }

    /// Words of an enum and their values, in order.
    fn words(&self, name: &str) -> Vec<(String, String)> {
        let start = self.text.find(&format!("\"{name}\": {{\"kind\"")).unwrap_or(self.text.len());
        let place = |word: &String| self.text[start..].find(&format!("\"{word}\": ["));
        let words = self.types[name]["m"].as_object().into_iter().flatten();
        let mut words: Vec<(String, String)> = words
            .filter_map(|(word, value)| Some((word.clone(), value[0].as_str()?.trim_start_matches('=').to_owned())))
            .collect();
        words.sort_by_key(|(word, _)| place(word));
        words
    }
}

/// Writes the lock, if every index has everything.
fn rewrite(doubles: &Doubles, surface: &Surface, indexes: &[impl AsRef<Path>]) {
    let mut versions = Vec::new();
    let mut missing = Vec::new();
    for path in indexes {
        let path = path.as_ref();
        let version = path.file_stem().expect("a file's name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        let index = Index::read(text).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        for (name, declared) in &surface.types {
            missing.extend(differences(name, declared, &index).into_iter().map(|line| format!("{version}: {line}")));
        }
        versions.push(version);
    }
    none("not in the sources", missing);
    let head = format!(
        "# What the doubles in {} declare, and {} {} have.\n\
         # Written from indexes of the sources; tests/tidy/unity.rs says how.\n",
        doubles.folder.trim_end_matches('/'),
        doubles.of,
        versions.join(" and ")
    );
    let body: String = surface.lines().into_iter().map(|line| line + "\n").collect();
    std::fs::write(root().join(doubles.lock), head + &body).expect("the lock");
}

/// What one type declares and the index does not have.
fn differences(name: &str, declared: &Type, index: &Index) -> Vec<String> {
    let reference = &index.types[name];
    if reference["kind"] != declared.kind {
        return vec![format!("{} {name}: there is {}", declared.kind, reference["kind"])];
    }
    if reference["obs"]["<type>"] == "error" {
        return vec![format!("{name} is obsolete")];
    }
    if declared.kind == "enum" {
        return values(name, declared, index);
    }
    let chain = ancestry(name, &index.types);
    let mut found = Vec::new();
    for (member, signature) in &declared.members {
        let has = |reference: &Value| {
            reference["m"][member].as_array().is_some_and(|all| all.iter().any(|one| one == signature.as_str()))
        };
        // The compiler writes a constructor where none stands, and every object has these three.
        let given = (member == ".ctor" && signature == "()" && reference["m"][member].is_null())
            || matches!(member.as_str(), "Equals" | "GetHashCode" | "ToString");
        match chain.iter().find(|reference| has(reference)) {
            Some(reference) if reference["obs"][format!("{member}{signature}")] == "error" => {
                found.push(format!("{name} {member} {signature} is obsolete"));
            }
            Some(_) => {}
            None if given => {}
            None => found.push(format!("{name} {member} {signature}: there is {}", reference["m"][member])),
        }
    }
    found
}

/// The type and those it derives from; bases are given by their last name alone.
fn ancestry<'a>(name: &str, index: &'a Value) -> Vec<&'a Value> {
    let (mut chain, mut names, mut at) = (Vec::new(), vec![name.to_owned()], 0);
    while at < names.len() {
        let reference = &index[&names[at]];
        chain.push(reference);
        for base in reference["bases"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let base = base.split('<').next().unwrap_or(base);
            for (other, _) in index.as_object().into_iter().flatten() {
                let last = other.rsplit('.').next().and_then(|last| last.split('`').next());
                if last == Some(base) && !names.contains(other) {
                    names.push(other.clone());
                }
            }
        }
        at += 1;
    }
    chain
}

/// Words of an enum that the index does not have, or has with another number.
fn values(name: &str, declared: &Type, index: &Index) -> Vec<String> {
    let known = surface::numbers(&index.words(name));
    let wrong = declared.members.iter().filter(|(word, number)| {
        !known.iter().any(|(other, value)| other == word && value.is_some_and(|value| format!("= {value}") == *number))
    });
    wrong.map(|(word, number)| format!("{name}.{word} {number}")).collect()
}

#[test]
fn a_double_that_nobody_looked_up_is_found() {
    let source = r#"
        namespace UnityEditor
        {
            // public static void Comment();
            [Flags]
            public enum Many { None = 0, One = 1 << 0, Two, Both = One | Two }
            public sealed partial class Things<T> : Base where T : class
            {
                public delegate bool Call(int number, params System.Object[] rest);
                private const string Text = "public int Hidden; }";
                public static event Call asked { add { } remove { } }
                public int count { get; private set; } = 3;
                public string name => "n";
                public static Dictionary<string, List<int>> all = new Dictionary<string, List<int>>();
                internal int Unseen() { return '}'; }
                public Things(string first, bool second = true) : base(first) { }
                [Obsolete] public static U Make<U>(out T made, ref System.String text) where U : T { return default(U); }
                public static bool operator ==(Things<T> one, Things<T> other) { return true; }
                public T this[int index] { get { return null; } }
                protected virtual void Changed() { }
            }
            internal class Fake { public int Seen; }
        }"#;
    let mut surface = Surface::default();
    surface.read(source).expect("C#");
    let expected = "\
UnityEditor.Many Both = 3
UnityEditor.Many None = 0
UnityEditor.Many One = 1
UnityEditor.Many Two = 2
UnityEditor.Many enum
UnityEditor.Things`1 .ctor (string,bool=opt)
UnityEditor.Things`1 Changed protected void()
UnityEditor.Things`1 Make static U`1(out T,ref string)
UnityEditor.Things`1 all static Dictionary<string,List<int>>
UnityEditor.Things`1 asked static event Call
UnityEditor.Things`1 class
UnityEditor.Things`1 count int{get;}
UnityEditor.Things`1 name string{get;}
UnityEditor.Things`1.Call Invoke bool(int,params Object[])
UnityEditor.Things`1.Call delegate";
    assert_eq!(surface.lines().join("\n"), expected);
    let index = r#"{
        "UnityEditor.Base": {"kind": "class", "bases": [], "m": {"name": ["string{get;}"]}, "obs": {}},
        "UnityEditor.Many": {"kind": "enum", "bases": [], "m": {"None": ["=0"], "Two": ["=1<<1"], "One": ["=1"],
            "After": ["=?"]}, "obs": {}},
        "UnityEditor.Things`1": {"kind": "class", "bases": ["Base"], "m": {"all": ["static int"],
            "count": ["int{get;}"]}, "obs": {"countint{get;}": "error"}}
    }"#;
    let index = Index::read(index.to_owned()).expect("an index");
    assert_eq!(surface::numbers(&index.words("UnityEditor.Many"))[3], ("After".to_owned(), Some(2)));
    let mut found: Vec<String> = Vec::new();
    for (name, declared) in &surface.types {
        found.extend(differences(name, declared, &index));
    }
    let mut found: Vec<&str> = found.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
    found.sort_unstable();
    let expected = [
        "UnityEditor.Many.Both = 3",
        "UnityEditor.Things`1 .ctor (string,bool=opt)",
        "UnityEditor.Things`1 Changed protected void()",
        "UnityEditor.Things`1 Make static U`1(out T,ref string)",
        "UnityEditor.Things`1 all static Dictionary<string,List<int>>",
        "UnityEditor.Things`1 asked static event Call",
        "UnityEditor.Things`1 count int{get;} is obsolete",
        "delegate UnityEditor.Things`1.Call",
    ];
    assert_eq!(found, expected);
}
