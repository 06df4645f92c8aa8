//! Many different updates in one command.
//!
//! Owns how the server's `update` command is built, cut into commands of a bounded size, and its
//! answer read. (The driver's own bulk write needs a newer server.)

use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf};
use mongodb::bson::{Document, doc, rawdoc, serialize_to_raw_document_buf};

use super::failure::{Answer, Failure};

/// How many updates one command holds.
const STATEMENTS_MAX: usize = 1_000;

/// How large the updates of one command may be; the server takes 16 MiB.
const STATEMENTS_BYTES_MAX: usize = 8 << 20;

/// One update of a command.
pub(super) struct Statement(RawDocumentBuf);

impl Statement {
    /// Changes the document that matches, by operators or by a whole new document.
    pub(super) fn one(filter: Document, change: Document) -> Answer<Self> {
        Ok(Self(serialize_to_raw_document_buf(&doc! { "q": filter, "u": change })?))
    }

    /// Changes all documents that match, found by their ids: nothing is planned.
    pub(super) fn all_of(filter: Document, change: Document) -> Answer<Self> {
        let statement = doc! { "q": filter, "u": change, "hint": { "_id": 1 }, "multi": true };
        Ok(Self(serialize_to_raw_document_buf(&statement)?))
    }

    /// Replaces the document that matches.
    pub(super) fn replace(filter: Document, document: RawDocumentBuf) -> Answer<Self> {
        let filter = serialize_to_raw_document_buf(&filter)?;
        Ok(Self(rawdoc! { "q": filter, "u": document }))
    }

    /// Replaces the document that matches, or inserts it.
    pub(super) fn put(filter: Document, document: RawDocumentBuf) -> Answer<Self> {
        let filter = serialize_to_raw_document_buf(&filter)?;
        Ok(Self(rawdoc! { "q": filter, "u": document, "upsert": true }))
    }

    /// Makes a document where none matches.
    pub(super) fn make(filter: Document, new: Document) -> Answer<Self> {
        let statement = doc! { "q": filter, "u": new, "upsert": true };
        Ok(Self(serialize_to_raw_document_buf(&statement)?))
    }

    /// Changes the document with an id by a pipeline, or makes it.
    pub(super) fn upsert(filter: Document, pipeline: Vec<Document>) -> Answer<Self> {
        let statement = doc! { "q": filter, "u": pipeline, "upsert": true };
        Ok(Self(serialize_to_raw_document_buf(&statement)?))
    }

    /// Changes all documents that match, by a pipeline.
    pub(super) fn all(filter: Document, pipeline: Vec<Document>) -> Answer<Self> {
        let statement = doc! { "q": filter, "u": pipeline, "multi": true };
        Ok(Self(serialize_to_raw_document_buf(&statement)?))
    }
}

/// The commands that together execute `statements` on a collection, in order.
pub(super) fn commands(collection: &str, statements: Vec<Statement>) -> Vec<RawDocumentBuf> {
    let mut commands = Vec::new();
    let mut updates = RawArrayBuf::new();
    let (mut count, mut bytes) = (0, 0);
    for Statement(statement) in statements {
        let size = statement.as_bytes().len();
        if count > 0 && (count == STATEMENTS_MAX || bytes + size > STATEMENTS_BYTES_MAX) {
            commands.push(command(collection, std::mem::take(&mut updates)));
            (count, bytes) = (0, 0);
        }
        updates.push(statement);
        (count, bytes) = (count + 1, bytes + size);
    }
    if count > 0 {
        commands.push(command(collection, updates));
    }
    commands
}

fn command(collection: &str, updates: RawArrayBuf) -> RawDocumentBuf {
    rawdoc! { "update": collection, "updates": updates, "ordered": true }
}

/// How many documents an `update` command matched or inserted.
pub(super) fn matched(reply: &Document) -> Answer<u64> {
    if let Some(failure) = Failure::in_reply(reply) {
        return Err(failure);
    }
    let matched = reply.get_i32("n").map(i64::from).or_else(|_| reply.get_i64("n"));
    Ok(matched.ok().and_then(|matched| u64::try_from(matched).ok()).unwrap_or_default())
}
