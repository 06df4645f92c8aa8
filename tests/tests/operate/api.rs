//! What a server says of its own API, and whether that is so.

use anteroom_tests::browser::{self, Light};
use anteroom_tests::{Server, http_client};
use serde_json::{Value, json};

use crate::{On, World};

/// The API as `/openapi.json` describes it.
pub struct Api(Value);

impl Api {
    pub async fn of(server: &Server) -> Self {
        let address = format!("{}/openapi.json", server.url());
        let answer = http_client().get(address).send().await.expect("the server answers");
        Self(answer.json().await.expect("it is JSON"))
    }

    /// Fails when the answer to a request is none of those that are described.
    pub fn check(&self, method: &str, path: &str, (status, answer): &(u16, Value)) {
        let asked = path.split('?').next().expect("a path begins somewhere");
        let described = self.path(asked).unwrap_or_else(|| panic!("{asked} is not described"));
        let (status, answers) = (*status, &self.0["paths"][described][method]["responses"]);
        let schema = if (200..300).contains(&status) {
            answers["2XX"]["content"]["application/json"]["schema"].clone()
        } else {
            json!({ "$ref": "#/components/schemas/Problem" })
        };
        assert!(schema.is_object(), "no answer of {method} {described} is described");
        let whole = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::validator_for(&whole).expect("a schema");
        let faults: Vec<_> = validator.iter_errors(answer).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{method} {path}: {status} {answer}: {faults:?}");
    }

    /// The described path that an address is one of; one without parameters before all others.
    fn path(&self, asked: &str) -> Option<&str> {
        let paths = self.0["paths"].as_object().expect("it has paths");
        let asked: Vec<_> = asked.split('/').collect();
        let is_one = |path: &str| {
            let parts: Vec<_> = path.split('/').collect();
            let same = |(asked, part): (&&str, &&str)| part.starts_with('{') || asked == part;
            asked.len() == parts.len() && asked.iter().zip(&parts).all(same)
        };
        let mut found: Vec<_> = paths.keys().filter(|path| is_one(path)).collect();
        found.sort_by_key(|path| path.contains('{'));
        found.first().map(|path| path.as_str())
    }
}

/// Goal: an answer that is not as it is described is found out. Method: answers that are wrong on purpose.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_is_found_out() {
    let world = World::start(On::Sqlite, &[]).await;
    let right = (200, json!({ "matched": 1 }));
    world.api.check("get", "/v1/jobs/count", &right);
    for wrong in [json!({ "matched": "one" }), json!({}), json!({ "matched": 1, "more": 2 })] {
        let wrong = (200, wrong);
        let checked =
            std::panic::AssertUnwindSafe(|| world.api.check("get", "/v1/jobs/count", &wrong));
        assert!(std::panic::catch_unwind(checked).is_err(), "{wrong:?}");
    }
}

/// Goal: a browser shows every endpoint, with what it is asked and answered, and complains of nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_api() {
    let world = World::start(On::Sqlite, &[]).await;
    for light in [Light::Light, Light::Dark] {
        let seen = browser::visit(&format!("{}/docs", world.server.url()), light).await;
        assert_eq!(seen.complaints, Vec::<String>::new());
        let paths = world.api.0["paths"].as_object().expect("it has paths");
        for path in paths.keys() {
            assert!(seen.document.contains(&format!("<code>{path}</code>")), "{path}");
        }
        for words in ["Answered with", "older_than_ms", "file_is_here"] {
            assert!(seen.document.contains(words), "{words}: {}", seen.document);
        }
    }
}
