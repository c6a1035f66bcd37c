//! `--chmod`: an octal number, or chmod(1)'s letters (`u=rwX,go=rX`).

/// Why a mode cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid chmod parameter: '{0}': write an octal number between 0 and 07777, or letters as in u=rwX,go=rX")]
pub struct ModeError(String);

/// A change of permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Set(u32),
    Letters(Vec<Clause>),
}

/// `go-w`, of `u=rw,go-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    /// `u`, `g`, `o`, as the bits they stand for.
    who: u32,
    operator: char,
    permissions: String,
}

impl Change {
    /// Reads the value of the flag.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        let wrong = || ModeError(text.to_owned());
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return match u32::from_str_radix(text, 8) {
                Ok(mode) if mode <= 0o7777 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(Kind::Set(mode))),
                _ => Err(wrong()),
            };
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let letters = part.find(|c| !matches!(c, 'u' | 'g' | 'o' | 'a')).ok_or_else(wrong)?;
            let who = part[..letters].chars().fold(0, |who, c| who | bits_of(c));
            let who = if letters == 0 { 0o7777 } else { who };
            let mut rest = &part[letters..];
            while let Some(operator) = rest.chars().next() {
                if !matches!(operator, '+' | '-' | '=') {
                    return Err(wrong());
                }
                rest = &rest[1..];
                let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
                let permissions = &rest[..end];
                let copied = matches!(permissions, "u" | "g" | "o");
                if !copied && !permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'x' | 'X' | 's' | 't')) {
                    return Err(wrong());
                }
                clauses.push(Clause { who, operator, permissions: permissions.to_owned() });
                rest = &rest[end..];
            }
        }
        if clauses.is_empty() { Err(wrong()) } else { Ok(Self(Kind::Letters(clauses))) }
    }

    /// The mode (07777) of something that has `mode` now.
    pub fn apply(&self, mode: u32, dir: bool) -> u32 {
        let clauses = match &self.0 {
            Kind::Set(mode) => return *mode,
            Kind::Letters(clauses) => clauses,
        };
        clauses.iter().fold(mode & 0o7777, |mode, clause| {
            let bits = clause.bits(mode, dir) & clause.who;
            match clause.operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                // Setting the bits of all also clears the sticky bit; those of some leave it.
                _ => (mode & !clause.who) | bits,
            }
        })
    }
}

impl Clause {
    fn bits(&self, mode: u32, dir: bool) -> u32 {
        let spread = |shift: u32| ((mode >> shift) & 7) * 0o111;
        match self.permissions.as_str() {
            "u" => spread(6),
            "g" => spread(3),
            "o" => spread(0),
            letters => letters.chars().fold(0, |bits, c| {
                bits | match c {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if dir || mode & 0o111 != 0 => 0o111,
                    's' => 0o6000,
                    't' => 0o1000,
                    _ => 0,
                }
            }),
        }
    }
}

fn bits_of(who: char) -> u32 {
    match who {
        'u' => 0o4700,
        'g' => 0o2070,
        'o' => 0o1007,
        _ => 0o7777,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        for (text, mode, dir, want) in [
            ("755", 0o640, false, 0o755),
            ("0", 0o640, false, 0),
            ("4755", 0o640, false, 0o4755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("+x", 0o644, false, 0o755),
            ("a-w", 0o666, false, 0o444),
            ("go=", 0o777, false, 0o700),
            ("g=u", 0o640, false, 0o660),
            ("u+s,g-x", 0o755, false, 0o4745),
            ("+t", 0o777, true, 0o1777),
            ("u+x-w", 0o644, false, 0o544),
        ] {
            assert_eq!(Change::parse(text).unwrap().apply(mode, dir), want, "{text} {mode:o}");
        }
        for bad in ["", "8", "07778", "10000", "rwx", "u", "u=z", "u=rw,", "9x", "0x7"] {
            assert!(Change::parse(bad).is_err(), "{bad}");
        }
    }
}
