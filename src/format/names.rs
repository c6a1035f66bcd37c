//! Container names for those who give none: `adjective_surname`, after people of science and engineering.

const ADJECTIVES: [&str; 104] = [
    "able", "agile", "alert", "amber", "ample", "apt", "artful", "astute", "avid", "balanced", "beaming", "bold",
    "brave", "breezy", "bright", "brisk", "calm", "candid", "careful", "cheerful", "civil", "clear", "clever", "cosy",
    "crisp", "curious", "daring", "dapper", "deft", "diligent", "dreamy", "driven", "eager", "earnest", "easy",
    "elegant", "epic", "exact", "fair", "fearless", "festive", "fluent", "focused", "fond", "frank", "friendly",
    "gallant", "gentle", "gifted", "glad", "golden", "graceful", "happy", "hardy", "hopeful", "humble", "inventive",
    "jolly", "jovial", "keen", "kind", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "mindful",
    "modest", "neat", "nimble", "noble", "patient", "peaceful", "playful", "plucky", "polite", "proud", "quick",
    "quiet", "radiant", "ready", "robust", "serene", "sharp", "silent", "sincere", "sleek", "smart", "snug", "sober",
    "solid", "sparkling", "steady", "subtle", "sunny", "swift", "tender", "tidy", "upbeat", "vivid", "warm", "witty",
];

const SURNAMES: [&str; 150] = [
    "abel", "agnesi", "alhazen", "ampere", "anning", "archimedes", "aryabhata", "avogadro", "babbage", "banach",
    "bardeen", "bassi", "becquerel", "bell", "bernoulli", "bessel", "bhabha", "blackwell", "bohr", "boltzmann",
    "boole", "borg", "born", "bose", "boyle", "bragg", "brahe", "brahmagupta", "braun", "brunel", "cannon", "cantor",
    "carnot", "carson", "cauchy", "cavendish", "celsius", "chandrasekhar", "chatelet", "clairaut", "copernicus",
    "coulomb", "crick", "curie", "cuvier", "dalton", "darwin", "davy", "diesel", "dijkstra", "diophantus", "dirac",
    "doppler", "earhart", "eddington", "edison", "einstein", "elion", "eratosthenes", "erdos", "euclid", "euler",
    "faraday", "fermat", "fermi", "feynman", "fibonacci", "fizeau", "fleming", "foucault", "fourier", "franklin",
    "fresnel", "galilei", "galois", "galvani", "gauss", "germain", "gibbs", "godel", "goeppert", "hahn", "halley",
    "hamilton", "harvey", "heisenberg", "helmholtz", "henry", "herschel", "hertz", "hilbert", "hodgkin", "hooke",
    "hopper", "hubble", "humboldt", "huygens", "hypatia", "jenner", "joule", "kepler", "khayyam", "khwarizmi",
    "kirchhoff", "kolmogorov", "kovalevskaya", "lagrange", "lamarr", "laplace", "lavoisier", "leavitt", "leibniz",
    "linnaeus", "lovelace", "mach", "marconi", "maxwell", "mayer", "mcclintock", "meitner", "mendel", "mendeleev",
    "mirzakhani", "morse", "napier", "newton", "nightingale", "nobel", "noether", "ohm", "pascal", "pasteur", "pauli",
    "pavlov", "planck", "poincare", "ptolemy", "pythagoras", "ramanujan", "riemann", "rutherford", "sagan",
    "schrodinger", "shannon", "somerville", "stokes", "tesla", "turing", "volta", "watt",
];

/// The name that four random bytes make. On a clash the caller draws again, and after a few draws adds digits.
pub fn generate(random: [u8; 4]) -> String {
    let [a, b, c, d] = random;
    let adjective = ADJECTIVES[usize::from(u16::from_le_bytes([a, b])) % ADJECTIVES.len()];
    let surname = SURNAMES[usize::from(u16::from_le_bytes([c, d])) % SURNAMES.len()];
    format!("{adjective}_{surname}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_plain_and_single() {
        for words in [&ADJECTIVES[..], &SURNAMES[..]] {
            assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase())));
            assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len());
        }
    }

    #[test]
    fn names_spread() {
        assert_eq!(generate([0; 4]), "able_abel");
        let names: BTreeSet<_> = (0..=255).flat_map(|a| (0..=255).map(move |b| generate([a, 0, b, 0]))).collect();
        assert_eq!(names.len(), ADJECTIVES.len() * SURNAMES.len());
    }
}
