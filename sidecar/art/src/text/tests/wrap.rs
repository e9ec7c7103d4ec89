//! Where lines break, per script.

use thumbforge_core::text_layer::TextStyle;

use super::*;

/// Sets `text` in an area `width` ems wide at a fixed size.
fn lines(locale: &str, text: &str, width: f64, lines_max: u8) -> Vec<String> {
    let em = 1.0 / 16.0;
    let style = TextStyle {
        area: [0.0, 0.0, (width * em).min(1.0), 1.0],
        size: em,
        size_min: em * 0.5,
        lines_max,
        outline: None,
        shadow: None,
        ..TextStyle::default()
    };
    set_one(locale, text, style).expect("it fits").lines
}

#[test]
fn lines_break_as_each_script_wants() {
    let mut wrong = Vec::new();
    let mut check = |locale: &str, text: &str, width: f64, expected: &[&str]| {
        let lines = lines(locale, text, width, 4);
        if lines != expected {
            wrong.push(format!("{locale}: {lines:?} instead of {expected:?}"));
        }
    };
    // One line where one line fits.
    check("en", "Dragon Harvest", 12.0, &["Dragon Harvest"]);
    // Even lines rather than a full one and a lonely word.
    check("en", "The last dragon of the north wind", 11.5, &["The last dragon", "of the north wind"]);
    check("en", "one two three four five six", 8.0, &["one two three", "four five six"]);
    // The author's own break.
    check("en", "Dragon\nHarvest Saga", 16.0, &["Dragon", "Harvest Saga"]);
    // Never inside a word, but after its hyphen.
    check("en", "well-known dragons", 6.5, &["well-known", "dragons"]);
    check("de", "Drachenernte Schlacht", 9.0, &["Drachenernte", "Schlacht"]);
    check("de", "Drachen\u{ad}ernte\u{ad}schlacht", 6.5, &["Drachen-", "ernteschlacht"]);
    // A soft hyphen that is not needed is not seen.
    check("de", "Drachen\u{ad}ernte", 12.0, &["Drachenernte"]);
    // French marks keep to their word; a no-break space holds.
    check("fr", "Récompenses doublées\u{a0}!", 8.0, &["Récompenses", "doublées\u{a0}!"]);
    // No line of Japanese begins with a mark, a small kana or a particle, and no katakana word is torn.
    check("ja", "ドラゴンの、新しい冒険が始まる。", 10.5, &["ドラゴンの、", "新しい冒険が始まる。"]);
    check("ja", "大型アップデート！「直」", 9.0, &["大型アップデート！", "「直」"]);
    check("ja", "報酬が2倍になる限定セール", 8.5, &["報酬が2倍になる", "限定セール"]);
    check("ja", "ドラゴン・ハーベスト・サーガ 限定セール", 11.0, &["ドラゴン・ハーベスト・", "サーガ 限定セール"]);
    check("ja", "ラスト・ドラゴン 限定セール", 9.0, &["ラスト・ドラゴン", "限定セール"]);
    // Chinese breaks between words, beside its quotes, and not before a mark.
    check("zh-Hans", "奖励翻倍，“传说”装备等你拿！", 10.5, &["奖励翻倍，", "“传说”装备等你拿！"]);
    check("zh-Hans", "巨龙丰收传说", 4.6, &["巨龙丰收", "传说"]);
    // Korean breaks at spaces.
    check("ko", "드래곤 하베스트 한정 판매", 7.5, &["드래곤 하베스트", "한정 판매"]);
    // Thai has no spaces and breaks between words.
    check("th", "ลดราคาครั้งใหญ่วันนี้", 6.0, &["ลดราคาครั้ง", "ใหญ่วันนี้"]);
    check("ar", "تخفيضات كبيرة جدا اليوم", 8.0, &["تخفيضات", "كبيرة جدا اليوم"]);
    check("he", "מבצע חם מאוד היום", 7.0, &["מבצע חם", "מאוד היום"]);
    check("hi", "सेल शुरू हो गई", 5.0, &["सेल शुरू", "हो गई"]);
    check("uk", "Подвійні нагороди", 7.0, &["Подвійні", "нагороди"]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_torn_word_is_the_last_resort() {
    // With room for a break at the space at nearly the same size, the soft hyphen is left alone.
    assert_eq!(lines("de", "Feuer Drachen\u{ad}ernte", 8.5, 3), ["Feuer", "Drachenernte"]);
    assert_eq!(lines("ko", "드래곤하베스트한정판매", 5.5, 2).len(), 2);
}

#[test]
fn one_line_shrinks_rather_than_breaks() {
    assert_eq!(lines("en", "Dragon Harvest", 7.0, 1), ["Dragon Harvest"]);
}
