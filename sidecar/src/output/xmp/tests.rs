//! Packets are XML whatever stands in them, say what they were told, and are read whoever wrote them.

use proptest::prelude::*;

use super::*;

fn full() -> Packet {
    Packet {
        source_type: Some("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia".into()),
        creator_tool: "Thumbforge 0.1.0".into(),
        ai_system: Some(("Stable Diffusion 3.5 Medium".into(), "sd3.5-medium".into())),
        ids: Some(("xmp.iid:1".into(), "xmp.did:2".into())),
        creator: Some("Björn & Søn <studio>".into()),
        credit: Some("\"Quoted\" 'twice'".into()),
        copyright: Some("© 2026 ]]> 大セール".into()),
        terms: Some("https://example.com/terms?a=1&b=2".into()),
        data_mining: Some("http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED".into()),
        works: vec![Credit {
            work: "anvil".into(),
            author: "Lorc & Co".into(),
            licence: "CC-BY-3.0".into(),
            source: "https://game-icons.net".into(),
        }],
    }
}

#[test]
fn what_is_written_is_read_back() {
    let text = full().to_text();
    let told = read(&text).expect("a packet");
    assert_eq!(told.source_type.as_deref(), Some("trainedAlgorithmicMedia"));
    assert_eq!(told.creator_tool.as_deref(), Some("Thumbforge 0.1.0"));
    assert_eq!(told.ai_system.as_deref(), Some("Stable Diffusion 3.5 Medium"));
    assert_eq!(told.creator.as_deref(), Some("Björn & Søn <studio>"));
    assert_eq!(told.credit.as_deref(), Some("\"Quoted\" 'twice'"));
    assert_eq!(told.copyright.as_deref(), Some("© 2026 ]]> 大セール"));
    assert_eq!(told.terms.as_deref(), Some("https://example.com/terms?a=1&b=2"));
    assert_eq!(told.data_mining.as_deref(), Some("DMI-PROHIBITED"));
    assert!(text.contains("<Iptc4xmpExt:AOCreator><rdf:Seq><rdf:li>Lorc &amp; Co</rdf:li></rdf:Seq>"), "{text}");
    assert_eq!(full().to_text(), text);
    assert_eq!(find(text.as_bytes()).and_then(read), Some(told));
}

#[test]
fn what_nobody_said_is_left_out() {
    let text = Packet { creator_tool: "Thumbforge".into(), ..Packet::default() }.to_text();
    for name in
        ["DigitalSourceType", "AISystem", "creator>", "rights>", "Credit", "DataMining", "Artwork", "InstanceID"]
    {
        assert!(!text.contains(name), "{name}: {text}");
    }
    assert_eq!(read(&text), Some(Told { creator_tool: Some("Thumbforge".into()), ..Told::default() }));
}

#[test]
fn packets_of_others_are_read() {
    let wrapped = |inner: &str| {
        format!(
            "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><r:RDF xmlns:r=\"{RDF}\" xmlns:i=\"{IPTC_EXT}\">{inner}</r:RDF></x:xmpmeta>"
        )
    };
    let term = |inner: &str| read(&wrapped(inner)).and_then(|told| told.source_type);
    let uri = "https://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic";
    let expected = Some("compositeSynthetic".to_owned());
    assert_eq!(term(&format!("<r:Description i:DigitalSourceType=\"{uri}\"/>")), expected);
    assert_eq!(
        term(&format!(
            "<r:Description/><r:Description><i:DigitalSourceType>{uri}</i:DigitalSourceType></r:Description>"
        )),
        expected
    );
    let resource = format!("<r:Description><i:DigitalSourceType r:resource=\"{uri}\"/></r:Description>");
    assert_eq!(term(&resource), expected);
    assert_eq!(term("<r:Description><i:DigitalSourceType/></r:Description>"), None);
    // A declaration could name files and grow without bound.
    assert_eq!(read("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"), None);
    assert_eq!(read("no XML"), None);
    assert_eq!(read("<a/>"), None);
    assert_eq!(find(b"JFIF<x:xmpmeta>cut short"), None);
}

proptest! {
    /// Whatever a project, a model's name or a credit holds, the packet is XML and gives it back.
    #[test]
    fn any_text_comes_back(words in "\\PC{0,40}", raw in proptest::collection::vec(any::<char>(), 0..40)) {
        let raw: String = raw.into_iter().collect();
        let packet = Packet {
            creator_tool: "Thumbforge".into(),
            creator: Some(words.clone()),
            credit: Some(raw),
            ..Packet::default()
        };
        let told = read(&packet.to_text()).expect("a packet");
        let expected = Some(words.trim().to_owned()).filter(|words| !words.is_empty());
        prop_assert_eq!(told.creator, expected);
        prop_assert_eq!(told.creator_tool.as_deref(), Some("Thumbforge"));
    }
}
