//! What a server says at `/metrics`, read as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{PATIENCE, Server};

/// Labels and their values.
pub type Labels = BTreeMap<String, String>;

/// Every series of one look.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// Its type and its meaning, by the name of the family.
    pub families: BTreeMap<String, Family>,
    samples: Vec<Sample>,
}

/// What is said of a family of series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it means.
    pub help: String,
}

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

impl Series {
    /// Looks at a server.
    ///
    /// # Panics
    /// When it says something that is no OpenMetrics text.
    pub async fn of(server: &Server) -> Self {
        let answer = crate::http_client().get(format!("{}/metrics", server.url())).send().await;
        let answer = answer.expect("the server answers");
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().expect("it is a text").to_owned();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        Self::read(&answer.text().await.expect("it is a text"))
    }

    /// Looks at a server until what it says is as wanted.
    ///
    /// # Panics
    /// When that does not come in time.
    pub async fn when(server: &Server, what: &str, is_so: impl Fn(&Self) -> bool) -> Self {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let series = Self::of(server).await;
            if is_so(&series) {
                return series;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "waited in vain for {what}: {series:?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Reads a text.
    ///
    /// # Panics
    /// When it is no OpenMetrics text.
    pub fn read(text: &str) -> Self {
        let mut series = Self::default();
        let lines = text.strip_suffix("# EOF\n").expect("it ends as OpenMetrics texts do");
        for line in lines.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a name and a meaning");
                series.families.entry(name.to_owned()).or_default().help = help.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                series.families.entry(name.to_owned()).or_default().kind = kind.to_owned();
            } else {
                series.samples.push(sample(line));
            }
        }
        series
    }

    /// The value of a sample with these labels.
    ///
    /// # Panics
    /// When there is none.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = self.samples.iter().find(|it| it.name == name && it.labels == wanted);
        found.unwrap_or_else(|| panic!("no sample {name} {labels:?} in {self:?}")).value
    }

    /// The sum of all samples of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|it| it.name == name).map(|it| it.value).sum()
    }

    /// The labels by which the series of a family are told apart.
    pub fn labels_of(&self, family: &str) -> BTreeSet<&str> {
        let is_of = |sample: &&Sample| {
            let ends = ["", "_total", "_bucket", "_sum", "_count"];
            sample.name.strip_prefix(family).is_some_and(|end| ends.contains(&end))
        };
        let labels = self.samples.iter().filter(is_of).flat_map(|sample| sample.labels.keys());
        labels.map(String::as_str).filter(|label| *label != "le").collect()
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a series and its value");
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end with a brace")),
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let labels = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').expect("a label and its value");
        (name.to_owned(), value.trim_matches('"').to_owned())
    });
    let (name, labels) = (name.to_owned(), labels.collect());
    Sample { name, labels, value: value.parse().expect("a number") }
}
