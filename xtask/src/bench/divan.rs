//! What a divan bench prints, read back: the time of each case.

use anyhow::{Context, Result};

/// One case of a bench, and how long a sample of it took.
#[derive(Debug, PartialEq)]
pub(crate) struct Case {
    /// The path to it: bench, then argument.
    pub name: String,
    pub fastest_ns: f64,
    pub median_ns: f64,
    pub samples: u64,
}

/// Reads the table that a bench printed. Lines that are no case are passed over.
///
/// # Errors
/// When a case has a time that cannot be read.
pub(crate) fn read(output: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for line in output.lines() {
        let Some(branch) = line.find(['├', '╰']) else { continue };
        // Each level is indented by three characters.
        let depth = line[..branch].chars().count() / 3;
        let label = line[branch..].trim_start_matches(['├', '╰', '─', ' ']);
        let mut columns = label.split('│').map(str::trim);
        // The name and the fastest time share a column.
        let first: Vec<&str> = columns.next().unwrap_or_default().split_whitespace().collect();
        let [name, fastest @ ..] = first.as_slice() else { continue };
        path.truncate(depth);
        path.push(name);
        let columns: Vec<&str> = columns.collect();
        let ([_, _], [_, median, _, samples, ..]) = (fastest, columns.as_slice()) else { continue };
        cases.push(Case {
            name: path.join(" "),
            fastest_ns: nanoseconds(&fastest.join(" "))?,
            median_ns: nanoseconds(median)?,
            samples: samples.parse().with_context(|| format!("samples of {line:?}"))?,
        });
    }
    Ok(cases)
}

fn nanoseconds(text: &str) -> Result<f64> {
    let mut words = text.split_whitespace();
    let (number, unit) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let number: f64 = number.parse().with_context(|| format!("no time: {text:?}"))?;
    let factor = match unit {
        "ns" => 1.0,
        "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => anyhow::bail!("no unit of time: {text:?}"),
    };
    Ok(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: cases are found under their benches, with both of their times, and lines of counters
    /// and headings are passed over. Method: a table as divan prints it.
    #[test]
    fn reads_the_cases_of_a_table() {
        let table = "\
machine          fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ text                        │               │               │               │         │
│  ├─ 64         1.5 ms        │ 88.52 ms      │ 2 ms          │ 45.8 ms       │ 200     │ 200
│  │             325.9 Kitem/s │ 46.26 Kitem/s │ 86.19 Kitem/s │ 89.42 Kitem/s │         │
│  ╰─ 1000       14 µs         │ 272.9 ms      │ 50.5 µs       │ 51.45 ms      │ 100     │ 200
╰─ pop           10 ns         │ 11 ns         │ 12 ns         │ 13 ns         │ 7       │ 7
";
        let case = |name: &str, fastest_ns, median_ns, samples| Case {
            name: name.to_owned(),
            fastest_ns,
            median_ns,
            samples,
        };
        assert_eq!(
            read(table).expect("a table"),
            [
                case("text 64", 1.5e6, 2e6, 200),
                case("text 1000", 14e3, 50.5e3, 100),
                case("pop", 10.0, 12.0, 7),
            ]
        );
    }

    /// Goal: a time that cannot be read is an error, and not left out.
    #[test]
    fn refuses_a_time_without_a_unit() {
        let table = "╰─ pop  10 xs │ 11 ns │ 12 ns │ 13 ns │ 7 │ 7";
        assert!(read(table).is_err());
    }
}
