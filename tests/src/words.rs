//! How well words were understood: the word error rate.

/// The words of a text as they are compared: small letters and digits, without marks.
pub fn words(text: &str) -> Vec<String> {
    let spoken = text.to_lowercase().replace("mr.", "mister").replace("mr ", "mister ");
    let plain = |c: char| if c.is_alphanumeric() || c == '\'' { c } else { ' ' };
    let plain: String = spoken.chars().map(plain).collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

/// How many words have to be changed, added or taken away to make `reference` of `heard`.
pub fn errors(reference: &str, heard: &str) -> usize {
    let (reference, heard) = (words(reference), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, expected) in reference.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, got) in heard.iter().enumerate() {
            let cost = diagonal + usize::from(expected != got);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[heard.len()]
}

/// Word errors over a collection of clips.
#[derive(Debug, Default)]
pub struct ErrorRate {
    errors: usize,
    words: usize,
}

impl ErrorRate {
    /// Counts one clip, and prints it.
    pub fn add(&mut self, reference: &str, heard: &str) {
        let errors = errors(reference, heard);
        println!("{errors} of {} words wrong: {heard:?} for {reference:?}", words(reference).len());
        self.errors += errors;
        self.words += words(reference).len();
    }

    /// The rate, from 0; printed.
    pub fn rate(&self) -> f64 {
        let rate = self.errors as f64 / self.words.max(1) as f64;
        println!("word error rate {:.1} % ({} of {} words)", rate * 100.0, self.errors, self.words);
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each kind of error counts once, and marks count as nothing.
    #[test]
    fn errors_are_counted() {
        for (reference, heard, expected) in [
            ("see you at eight", "See you at eight.", 0),
            ("see you at eight", "see you at ate", 1),
            ("see you at eight", "see at eight", 1),
            ("see you at eight", "oh see you at eight", 1),
            ("see you", "", 2),
            ("mister dashwood", "Mr. Dashwood", 0),
        ] {
            assert_eq!(errors(reference, heard), expected, "{heard}");
        }
    }
}
