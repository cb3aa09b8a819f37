//! Texts of which few are different: gathered in a dictionary, laid out one by one. Never changes a value.

use arrow::array::{ArrayRef, StringDictionaryBuilder};
use arrow::compute::take;
use arrow::datatypes::Int32Type;

/// The texts gathered, leaving none. (Arrow's casts do the same, and with all that they can do fill megabytes of a program.)
pub(super) fn text(builder: &mut StringDictionaryBuilder<Int32Type>) -> ArrayRef {
    let gathered = builder.finish();
    take(gathered.values(), gathered.keys(), None).expect("keys of a dictionary name its values")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, StringArray};

    #[test]
    fn texts_come_out_as_they_came() {
        let texts = [Some("read"), None, Some("write"), Some("read"), Some("")];
        let mut builder = StringDictionaryBuilder::new();
        texts.iter().for_each(|text| builder.append_option(*text));
        assert_eq!(*text(&mut builder), StringArray::from(texts.to_vec()));
        assert_eq!(text(&mut builder).len(), 0);
    }
}
