//! C# as words and signs: comments, white space, directives and what stands in quotes are gone.

/// The tokens of a file. What stands in quotes is one token, `"`.
pub(super) fn tokens(source: &str) -> Vec<String> {
    let letters: Vec<char> = source.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < letters.len() {
        let rest = &letters[at..];
        at += match (rest[0], rest.get(1)) {
            (letter, _) if letter.is_whitespace() => 1,
            ('/', Some('/')) | ('#', _) => line(rest),
            ('/', Some('*')) => {
                2 + rest[2..].windows(2).position(|two| two == ['*', '/']).map_or(rest.len() - 2, |end| end + 2)
            }
            ('"' | '\'', _) => quoted(rest, 0, &mut tokens),
            ('@' | '$', Some('"')) => quoted(rest, 1, &mut tokens),
            ('=', Some('>')) => sign(rest, 2, &mut tokens),
            (letter, _) if is_word(letter) => {
                let end = rest.iter().position(|&letter| !is_word(letter)).unwrap_or(rest.len());
                sign(rest, end, &mut tokens)
            }
            _ => sign(rest, 1, &mut tokens),
        };
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn line(rest: &[char]) -> usize {
    rest.iter().position(|&letter| letter == '\n').unwrap_or(rest.len())
}

fn sign(rest: &[char], length: usize, tokens: &mut Vec<String>) -> usize {
    tokens.push(rest[..length].iter().collect());
    length
}

/// A string or a character; in a verbatim one only quotes are escaped, by doubling them.
fn quoted(rest: &[char], prefix: usize, tokens: &mut Vec<String>) -> usize {
    let (quote, verbatim) = (rest[prefix], rest[0] == '@');
    let mut at = prefix + 1;
    while at < rest.len() {
        if rest[at] == quote {
            if !(verbatim && rest.get(at + 1) == Some(&quote)) {
                break;
            }
            at += 1;
        } else if rest[at] == '\\' && !verbatim {
            at += 1;
        }
        at += 1;
    }
    tokens.push("\"".to_owned());
    (at + 1).min(rest.len())
}
