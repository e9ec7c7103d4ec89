//! Tables as Unity and translation tools write them, and every way in which one can be wrong.

use proptest::prelude::*;

use super::*;

fn table(label: &str, text: &str) -> Strings {
    let mut strings = Strings::default();
    match strings.add(label, text.as_bytes()) {
        Ok(()) => strings,
        Err(errors) => panic!("{errors}"),
    }
}

fn get<'a>(strings: &'a Strings, key: &str, locale: &str) -> Option<&'a str> {
    strings.get(key, &strings.chain(locale))
}

#[test]
fn unitys_export_is_read_as_it_is() {
    let strings = table(
        "Shop.csv",
        "\u{feff}Key,Id,Shared Comments,English(en),English(en) Comments,German(de),German(de) Comments,\"Chinese (Simplified)(zh-Hans)\",Portuguese (Brazil)(pt-BR)\r\n\
         sword.title,123,\"short, please\",Steel Sword,,Stahlschwert,ok,\"精钢\r\n长剑\",Espada\r\n\
         sale,124,,\"Say \"\"SALE\"\"\",,,,,\r\n\
         \r\n\
         last,125,,Last,,Letztes,,末,Última",
    );
    assert_eq!(strings.locales(), ["en", "de", "zh-Hans", "pt-BR"]);
    assert_eq!(get(&strings, "sword.title", "de"), Some("Stahlschwert"));
    assert_eq!(get(&strings, "sword.title", "zh-Hans"), Some("精钢\r\n长剑"));
    assert_eq!(get(&strings, "sale", "en"), Some("Say \"SALE\""));
    assert_eq!(get(&strings, "sale", "de"), None, "an empty cell is a missing string");
    assert_eq!(get(&strings, "last", "pt-BR"), Some("Última"));
    assert_eq!(strings.len(), 3);
}

#[test]
fn a_plain_table_will_do() {
    let strings = table("s.csv", "key,en,zh_Hans,id,Notes\na,A,甲,Satu,in the shop\n");
    assert_eq!(strings.locales(), ["en", "zh_Hans", "id"]);
    assert_eq!(get(&strings, "a", "zh-Hans"), Some("甲"));
    assert_eq!(get(&strings, "a", "ID"), Some("Satu"));
}

#[test]
fn a_locale_falls_back_to_its_own_wider_ones() {
    let strings = table("s.csv", "key,zh,zh-Hans,en\na,中,简,en\nb,中,,en\nc,,,en\n");
    assert_eq!(get(&strings, "a", "zh-Hans-CN"), Some("简"));
    assert_eq!(get(&strings, "b", "zh-Hans-CN"), Some("中"));
    assert_eq!(get(&strings, "c", "zh-Hans-CN"), None);
    assert_eq!(get(&strings, "a", "zha"), None);
}

const XLIFF_1: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
 <file original="Shop" source-language="en" target-language="fr" datatype="plaintext"><body>
  <group id="g" resname="Shop"><group id="h">
   <trans-unit id="1" resname="sword.title"><source>Steel <g id="1">Sword</g></source><target>Épée <g id="1">d’acier</g><x id="2"/></target><note>short</note></trans-unit>
   <trans-unit id="potion.title"><source>Potion</source><target state="needs-translation">Potion</target></trans-unit>
  </group></group>
  <trans-unit id="3" resname="empty"><source>Empty</source><target/></trans-unit>
  <trans-unit id="4" resname="two"><source>One&amp;Two</source><target>Un<x id="1" ctype="lb"/>Deux</target></trans-unit>
 </body></file>
</xliff>"#;

#[test]
fn xliff_1_2_is_flattened() {
    let strings = table("shop.fr.xlf", XLIFF_1);
    assert_eq!(get(&strings, "sword.title", "fr"), Some("Épée d’acier"));
    assert_eq!(get(&strings, "sword.title", "en"), Some("Steel Sword"));
    assert_eq!(get(&strings, "potion.title", "fr"), None, "its state says that nobody translated it");
    assert_eq!(get(&strings, "potion.title", "en"), Some("Potion"));
    assert_eq!(get(&strings, "empty", "fr"), None);
    assert_eq!(get(&strings, "two", "fr"), Some("Un\nDeux"));
    assert_eq!(get(&strings, "two", "en"), Some("One&Two"));
}

#[test]
fn xliff_2_0_joins_its_segments() {
    let strings = table(
        "shop.ja.xliff",
        r#"<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="ja">
 <file id="f"><group id="g" name="Shop"><unit id="1" name="sword.title"><notes><note>short</note></notes>
  <segment state="translated"><source>Steel <pc id="1">Sword</pc>. </source><target>鋼の<pc id="1">剣</pc>。</target></segment>
  <segment state="final"><source>Sharp.</source><target>鋭い。</target></segment></unit>
  <unit id="2"><segment state="initial"><source>Potion</source></segment></unit></group></file></xliff>"#,
    );
    assert_eq!(get(&strings, "sword.title", "ja"), Some("鋼の剣。鋭い。"));
    assert_eq!(get(&strings, "sword.title", "en"), Some("Steel Sword. Sharp."));
    assert_eq!(get(&strings, "2", "ja"), None);
}

#[test]
fn tables_that_disagree_are_told_with_both_places() {
    let mut strings = table("a.csv", "key,en,fr\nx,X,Ix\ny,Y,\n");
    assert_eq!(strings.add("b.csv", b"key,en,fr\nx,X,\ny,,Ygrec\n"), Ok(()), "the same words, and what was missing");
    let errors = strings.add("c.csv", b"key,en\ny,Y\nx,Z\n").expect_err("another X").to_string();
    assert!(errors.contains("c.csv:3: x: the words for locale \"en\" differ from those of a.csv:2"), "{errors}");
    let old_source = XLIFF_1.replace("resname=\"two\"", "resname=\"x\"");
    assert_eq!(strings.add("d.xlf", old_source.replace(">Un<", ">Ix<!--").replace("Deux", "-->").as_bytes()), Ok(()));
    assert_eq!(get(&strings, "x", "en"), Some("X"), "the source words beside a translation give way to a table");
    let errors = table("t.csv", "key,en\n").add("t.csv", b"key,en\na,1\na,2\n").expect_err("twice").to_string();
    assert!(errors.contains("t.csv:3: a: ") && errors.contains("t.csv:2"), "{errors}");
}

#[test]
fn what_is_wrong_with_a_table_is_told_with_its_line() {
    let check = |label: &str, bytes: &[u8], told: &str| {
        let errors = Strings::default().add(label, bytes).expect_err(told);
        assert_eq!(errors.code(), ErrorCode::InvalidManifest);
        assert!(errors.to_string().starts_with(told), "{errors} is not {told}");
    };
    check("s.csv", b"", "s.csv:1: the table is empty");
    check("s.csv", b"en,de\na,b\n", "s.csv:1: one column must be called Key");
    check("s.csv", b"Key,key,en\n", "s.csv:1: one column must be called Key");
    check("s.csv", b"Key,Id\n", "s.csv:1: no column names a locale");
    check("s.csv", b"Key,en,English(en)\n", "s.csv:1: two columns are of locale \"en\"");
    check("s.csv", b"Key,en\na,b\nc,d,e\n", "s.csv:3: the line has 3 fields and the header 2");
    check("s.csv", b"Key,en\n,b\n", "s.csv:2: the line has words but no key");
    check("s.csv", b"Key,en\na,b\nc,\"d\n\n\n", "s.csv:3: a quote is opened here and never closed");
    check("s.csv", b"Key,en\na,\"b\"c\n", "s.csv:2: a quoted field goes on");
    check("s.csv", b"Key,en\na,\xff\n", "s.csv:2: the text is not UTF-8");
    check("s.csv", b"\xff\xfeK\0", "s.csv: the file is UTF-16");
    check("s.xlf", b"", "s.xlf:1: ");
    check("s.xlf", b"<xliff version='1.2'>\n<file>", "s.xlf:1: the root node was opened but never closed");
    check("s.xlf", b"<tmx/>", "s.xlf:1: the root element is <tmx>");
    check("s.xlf", b"<xliff version='3'/>", "s.xlf:1: version: the version is \"3\"; XLIFF 1.2 and 2.0 are read");
    check("s.xlf", b"<xliff version='1.2'>\n<file source-language='!'/></xliff>", "s.xlf:2: the source language \"!\"");
    check(
        "s.xlf",
        b"<xliff version='1.2'><file source-language='en'>\n<trans-unit/></file></xliff>",
        "s.xlf:2: a <trans-unit> has no key",
    );
    let bomb = b"<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]>\n<xliff version='1.2'>&b;</xliff>";
    check("s.xlf", bomb, "s.xlf:1: ");
    let too_large = vec![b'a'; crate::limits::STRINGS_BYTES_MAX + 1];
    assert_eq!(Strings::default().add("s.csv", &too_large).expect_err("too large").code(), ErrorCode::TooLarge);
}

#[test]
fn deep_xml_is_no_deep_stack() {
    let depth = 100_000;
    let text = format!(
        "<xliff version='1.2'><file source-language='en'>{}{}</file></xliff>",
        "<g>".repeat(depth),
        "</g>".repeat(depth)
    );
    let _ = Strings::default().add("s.xlf", text.as_bytes());
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Strings::default().add("s.csv", &bytes);
        let _ = Strings::default().add("s.xlf", &bytes);
    }

    #[test]
    fn no_table_makes_a_reader_panic(parts in prop::collection::vec(prop::sample::select(vec![
        "Key", "key", ",", "\"", "\"\"", "\n", "\r", "\r\n", "English(en)", "de", "(", ")", "é", "<xliff version='1.2'>", "<xliff version='2.0' srcLang='en'>",
        "<file source-language='en' target-language='fr'>", "<trans-unit id='a'>", "<unit id='b'>", "<segment>", "<source>", "</source>", "<target>", "</target>", "</file>", "</xliff>",
    ]), 0..30)) {
        let text = parts.concat();
        let _ = Strings::default().add("s.csv", text.as_bytes());
        let _ = Strings::default().add("s.xlf", text.as_bytes());
    }

    #[test]
    fn a_field_comes_back_from_its_quotes(words in "[a-z,\"\n\r é]{1,20}") {
        let text = format!("Key,en\nk,\"{}\"\nz,Z\n", words.replace('"', "\"\""));
        let strings = table("s.csv", &text);
        prop_assert_eq!(get(&strings, "k", "en"), Some(words.as_str()).filter(|words| !words.trim().is_empty()));
        prop_assert_eq!(get(&strings, "z", "en"), Some("Z"));
    }
}
