//! XMP: what a picture says of itself in the fields that photo agencies, stores and search engines read.
//!
//! A packet is RDF in XML (XMP specification part 1); in a PNG it stands in an iTXt chunk with the keyword
//! `XML:com.adobe.xmp` (part 3, section 1.1.5). Fields are those of IPTC's Photo Metadata Standard 2025.1 and of PLUS.
//! What is written follows from its arguments: there is no clock and no name of a machine in it.
//!
//! Reading is for packets of anybody: it knows properties as elements and as attributes, and takes the first of each.

use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};
use serde::Serialize;

use super::origin;
use super::provenance::Credit;

/// Keyword of the PNG chunk.
pub const KEYWORD: &str = "XML:com.adobe.xmp";
/// Most nodes of a packet that is read; ours has fewer than a hundred, a camera's a few thousand.
const NODES_MAX: u32 = 100_000;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const DC: &str = "http://purl.org/dc/elements/1.1/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const XMP_MM: &str = "http://ns.adobe.com/xap/1.0/mm/";
const XMP_RIGHTS: &str = "http://ns.adobe.com/xap/1.0/rights/";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const IPTC_EXT: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
const PLUS: &str = "http://ns.useplus.org/ldf/xmp/1.0/";

/// What a packet says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packet {
    /// Address of the term of IPTC's Digital Source Type.
    pub source_type: Option<String>,
    /// The program that wrote the file, with its version.
    pub creator_tool: String,
    /// The model, and its version as it is called on the wire.
    pub ai_system: Option<(String, String)>,
    /// A name of these very bytes' content, and of all versions of the picture.
    pub ids: Option<(String, String)>,
    /// Who made it.
    pub creator: Option<String>,
    /// What is to be printed beside it.
    pub credit: Option<String>,
    /// The copyright notice.
    pub copyright: Option<String>,
    /// Address of the terms of use.
    pub terms: Option<String>,
    /// Address of PLUS's term for data mining.
    pub data_mining: Option<String>,
    /// Works of others within the picture.
    pub works: Vec<Credit>,
}

/// What is told of somebody's packet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The term of IPTC's Digital Source Type; its address where it is of another vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// The program that wrote the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_tool: Option<String>,
    /// The AI system that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_system: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// What is to be printed beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    /// The copyright notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copyright: Option<String>,
    /// Address of the terms of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// The last part of the address of PLUS's term for data mining.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_mining: Option<String>,
}

impl Packet {
    /// The packet's text.
    pub fn to_text(&self) -> String {
        // The mark within the quotes tells readers that search files for packets how the text is encoded.
        let mut text = String::from("<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n");
        text.push_str("<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n");
        let _ = writeln!(text, "<rdf:RDF xmlns:rdf=\"{RDF}\">");
        let spaces = [
            ("dc", DC),
            ("xmp", XMP),
            ("xmpMM", XMP_MM),
            ("xmpRights", XMP_RIGHTS),
            ("photoshop", PHOTOSHOP),
            ("Iptc4xmpExt", IPTC_EXT),
            ("plus", PLUS),
        ];
        text.push_str("<rdf:Description rdf:about=\"\"");
        for (prefix, space) in spaces {
            let _ = write!(text, "\n xmlns:{prefix}=\"{space}\"");
        }
        text.push_str(">\n");
        simple(&mut text, "xmp:CreatorTool", Some(&self.creator_tool));
        simple(&mut text, "Iptc4xmpExt:DigitalSourceType", self.source_type.as_ref());
        if let Some((system, version)) = &self.ai_system {
            simple(&mut text, "Iptc4xmpExt:AISystemUsed", Some(system));
            simple(&mut text, "Iptc4xmpExt:AISystemVersionUsed", Some(version));
        }
        if let Some((instance, document)) = &self.ids {
            simple(&mut text, "xmpMM:InstanceID", Some(instance));
            simple(&mut text, "xmpMM:DocumentID", Some(document));
        }
        within(&mut text, "dc:creator", "Seq", self.creator.as_ref());
        within(&mut text, "dc:rights", "Alt", self.copyright.as_ref());
        simple(&mut text, "photoshop:Credit", self.credit.as_ref());
        simple(&mut text, "xmpRights:WebStatement", self.terms.as_ref());
        simple(&mut text, "plus:DataMining", self.data_mining.as_ref());
        works(&mut text, &self.works);
        text.push_str("</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>");
        text
    }
}

/// Works of others, as IPTC's "Artwork or Object in the Image".
fn works(text: &mut String, works: &[Credit]) {
    if works.is_empty() {
        return;
    }
    text.push_str("<Iptc4xmpExt:ArtworkOrObject>\n<rdf:Bag>\n");
    for work in works {
        text.push_str("<rdf:li rdf:parseType=\"Resource\">\n");
        within(text, "Iptc4xmpExt:AOTitle", "Alt", Some(&work.work));
        within(text, "Iptc4xmpExt:AOCreator", "Seq", Some(&work.author));
        simple(text, "Iptc4xmpExt:AOCopyrightNotice", Some(&work.licence));
        simple(text, "Iptc4xmpExt:AOSource", Some(&work.source));
        text.push_str("</rdf:li>\n");
    }
    text.push_str("</rdf:Bag>\n</Iptc4xmpExt:ArtworkOrObject>\n");
}

/// A property with one plain value.
fn simple(text: &mut String, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        let _ = writeln!(text, "<{name}>{}</{name}>", escaped(value));
    }
}

/// A property whose one value stands in an array.
fn within(text: &mut String, name: &str, array: &str, value: Option<&String>) {
    if let Some(value) = value {
        // Texts in several languages name the language of each; ours is told to none.
        let language = if array == "Alt" { " xml:lang=\"x-default\"" } else { "" };
        let value = escaped(value);
        let _ = writeln!(text, "<{name}><rdf:{array}><rdf:li{language}>{value}</rdf:li></rdf:{array}></{name}>");
    }
}

/// What XML cannot hold at all becomes U+FFFD; what means something to it becomes an entity.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            // Three characters would end a section that a reader opened; one alone is as well escaped.
            '>' => text.push_str("&gt;"),
            // Readers turn a bare one into a line feed.
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            _ => text.push(c),
        }
    }
    text
}

/// What a packet says, whoever wrote it; `None` where it is no XML with RDF in it.
pub fn read(packet: &str) -> Option<Told> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    // The mark at the start of a text that was cut out of a file.
    let packet = packet.trim_start_matches('\u{feff}').trim();
    let document = Document::parse_with_options(packet, options).ok()?;
    let rdf = document.descendants().find(|node| node.has_tag_name((RDF, "RDF")))?;
    let described: Vec<Node<'_, '_>> = rdf.children().filter(|node| node.has_tag_name((RDF, "Description"))).collect();
    let value = |space: &str, name: &str| described.iter().find_map(|node| property(node, space, name));
    let tail = |uri: String| uri.rsplit('/').next().unwrap_or_default().to_owned();
    Some(Told {
        source_type: value(IPTC_EXT, "DigitalSourceType").map(|uri| origin::term(&uri).to_owned()),
        creator_tool: value(XMP, "CreatorTool"),
        ai_system: value(IPTC_EXT, "AISystemUsed"),
        creator: value(DC, "creator"),
        credit: value(PHOTOSHOP, "Credit"),
        copyright: value(DC, "rights"),
        terms: value(XMP_RIGHTS, "WebStatement"),
        data_mining: value(PLUS, "DataMining").map(tail),
    })
}

/// A property of a description: an attribute, an element with a text or an address, or the first of an array.
fn property(description: &Node<'_, '_>, space: &str, name: &str) -> Option<String> {
    if let Some(value) = description.attribute((space, name)) {
        return Some(value.to_owned());
    }
    let element = description.children().find(|child| child.has_tag_name((space, name)))?;
    if let Some(address) = element.attribute((RDF, "resource")) {
        return Some(address.to_owned());
    }
    let first = element.descendants().find(|node| node.has_tag_name((RDF, "li")));
    let text = first.unwrap_or(element).text()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The packet within a file of any format, as XMP is made to be found: by its own first and last words.
/// `None` where there is none, or where it is packed.
pub fn find(file: &[u8]) -> Option<&str> {
    const BEGIN: &[u8] = b"<x:xmpmeta";
    const END: &[u8] = b"</x:xmpmeta>";
    let begin = position(file, BEGIN)?;
    let rest = file.get(begin..)?;
    let end = position(rest, END)? + END.len();
    std::str::from_utf8(rest.get(..end)?).ok()
}

fn position(within: &[u8], sought: &[u8]) -> Option<usize> {
    within.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests;
