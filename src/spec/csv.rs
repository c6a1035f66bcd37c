//! One line of comma separated values, as docker takes them in `--mount` and `--network`.

/// The fields: `a,"b,""c"""` is `a` and `b,"c"`.
///
/// # Errors
/// Quotes that make no sense.
pub(super) fn fields(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut field = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(c) => field.push(c),
                    None => return Err("a quote is not closed".into()),
                }
            }
            if chars.peek().is_some_and(|&c| c != ',') {
                return Err("a comma must follow the closing quote".into());
            }
        } else {
            while let Some(c) = chars.next_if(|&c| c != ',') {
                if c == '"' {
                    return Err("a quote must open the whole field: \"key=value\"".into());
                }
                field.push(c);
            }
        }
        fields.push(field);
        if chars.next().is_none() {
            break;
        }
    }
    fields.retain(|field| !field.is_empty());
    Ok(fields)
}
