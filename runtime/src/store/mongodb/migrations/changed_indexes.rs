//! Indexes that once had another shape under the same name.

use mongodb::IndexModel;
use mongodb::bson::Document;

use super::super::connection::Connection;
use super::super::failure::{Answer, code_of};
use super::super::indexes::{CHANGED, Index, indexes};

/// There is no such index any more.
const INDEX_NOT_FOUND: i32 = 27;

/// Drops those that do not have their present shape, and tells how many. Two nodes that start at once may
/// each drop what the other has just made anew, and make it themselves afterwards.
pub(super) async fn drop_former(store: &Connection) -> Answer<u64> {
    let mut dropped = 0;
    for index in indexes() {
        if !CHANGED.contains(&(index.collection, index.name)) || !is_former(store, &index).await? {
            continue;
        }
        let collection = store.database.collection::<Document>(index.collection);
        match collection.drop_index(index.name).await {
            Ok(()) => dropped += 1,
            // Another node was faster.
            Err(error) if code_of(&error) == Some(INDEX_NOT_FOUND) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(dropped)
}

/// Whether there is an index of that name with other keys or other documents.
async fn is_former(store: &Connection, index: &Index) -> Answer<bool> {
    let mut listed = store.database.collection::<Document>(index.collection).list_indexes().await?;
    while listed.advance().await? {
        let found: IndexModel = listed.deserialize_current()?;
        let options = found.options.unwrap_or_default();
        if options.name.as_deref() == Some(index.name) {
            return Ok(found.keys != index.keys || options.partial_filter_expression != index.only);
        }
    }
    Ok(false)
}
