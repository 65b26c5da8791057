use quote::quote;

use super::*;

fn shape_of(tokens: TokenStream) -> String {
    shape::Shape::of(&syn::parse2(tokens).unwrap()).spelt()
}

fn mistakes_of(tokens: TokenStream) -> Vec<String> {
    let input: DeriveInput = syn::parse2(tokens).unwrap();
    let (attributes, unreadable) = Attributes::read(&input.attrs);
    mistakes(&input, &attributes, unreadable)
        .into_iter()
        .flatten()
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn a_shape_names_fields_and_types_in_order() {
    assert_eq!(
        shape_of(quote! { struct Tick { price: u64, r#type: Side } }),
        "Tick{price:u64,type:Side}"
    );
    assert_eq!(
        shape_of(quote! { struct Pair(u64, [u8; 4]); }),
        "Pair(u64,[u8;4])"
    );
    assert_eq!(shape_of(quote! { struct Stop; }), "Stop");
    assert_eq!(
        shape_of(quote! { enum Event { Swap(Swap), Sync { a: u64 }, Halt } }),
        "Event{Swap(Swap)|Sync{a:u64}|Halt}"
    );
}

#[test]
fn imports_and_formatting_leave_a_shape_alone() {
    let long = shape_of(
        quote! { struct A { x: ::std::collections::HashMap<std::string::String, crate::B>, } },
    );
    let short = shape_of(quote! { struct A { x: HashMap<String, B> } });
    assert_eq!(long, short);
}

#[test]
fn serde_attributes_are_part_of_a_shape() {
    let renamed = shape_of(quote! { struct A { #[serde(rename = "b")] a: u8 } });
    assert_eq!(renamed, "A{#[rename=\"b\"]a:u8}");
}

#[test]
fn a_type_that_contains_itself_is_refused_once_per_place() {
    let mistakes = mistakes_of(
        quote! { struct Node { left: Option<Box<Node>>, right: Vec<(u8, Self)>, other: other::Node } },
    );
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("message `Node` contains itself"));
}

#[test]
fn unions_and_parameters_are_refused() {
    assert!(
        mistakes_of(quote! { union A { a: u8, b: u8 } })[0]
            .starts_with("a union cannot be a message")
    );
    assert!(
        mistakes_of(quote! { struct A<'a> { a: &'a str } })[0]
            .starts_with("a message owns its data")
    );
    assert!(
        mistakes_of(quote! { struct A<T> { a: T } })[0]
            .starts_with("a message type has no parameters")
    );
}

#[test]
fn a_field_that_borrows_is_refused_unless_it_is_skipped() {
    let told = mistakes_of(quote! {
        #[message(serde)]
        struct A {
            name: &'static str,
            list: Vec<(u8, Option<&'static [u8]>)>,
            #[serde(skip)]
            unit: &'static str,
            #[serde(skip_serializing, skip_deserializing)]
            other: &'static str,
            #[serde(with = "theirs")]
            kept: &'static str,
        }
    });
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("a message owns its data"));
    // What serde reads is somebody else's matter, or another type.
    let fields = quote! { { name: &'static str } };
    assert!(mistakes_of(quote! { struct A #fields }).is_empty());
    let another = quote! { #[message(serde)] #[serde(from = "B", into = "B")] struct A #fields };
    assert!(mistakes_of(another).is_empty());
    let variants = quote! { #[message(serde)] enum A { B, #[serde(skip)] C(&'static str) } };
    assert!(mistakes_of(variants).is_empty());
    // One whose type has a lifetime is told that, and not each field.
    assert_eq!(mistakes_of(quote! { struct A<'a> { a: &'a str } }).len(), 1);
}

#[test]
fn attributes_that_need_a_codec_with_names_are_found() {
    let why = |tokens| places::needs_names(&syn::parse2(tokens).unwrap()).unwrap_or_default();
    for (tokens, attribute, place) in [
        (
            quote! { #[serde(untagged)] enum A { B(u8) } },
            "untagged",
            "message `A`",
        ),
        (
            quote! { #[serde(rename_all = "x", tag = "t")] enum A { B { b: u8 } } },
            "tag",
            "message `A`",
        ),
        (
            quote! { enum A { B, #[serde(untagged)] C(u8) } },
            "untagged",
            "variant `A::C`",
        ),
        (
            quote! { enum A { B { #[serde(flatten)] b: C } } },
            "flatten",
            "field `A::B.b`",
        ),
        (
            quote! { struct A { #[serde(default, skip_serializing_if = "none")] r#type: u8 } },
            "skip_serializing_if",
            "field `A.type`",
        ),
        (
            quote! { struct A(u8, #[serde(skip_serializing)] u8); },
            "skip_serializing",
            "field `A.1`",
        ),
        (
            quote! { enum A { B, #[serde(skip)] C, D } },
            "skip",
            "variant `A::C`",
        ),
        (
            quote! { enum A { #[serde(skip_deserializing)] B, C } },
            "skip_deserializing",
            "variant `A::B`",
        ),
        (
            quote! { struct A { #[serde(skip_deserializing)] b: u8 } },
            "skip_deserializing",
            "field `A.b`",
        ),
    ] {
        let found = why(tokens);
        let wanted = format!("`#[serde({attribute})]` at {place} needs a codec");
        assert!(found.starts_with(&wanted), "{found}");
    }
    for fine in [
        quote! { #[serde(rename_all = "snake_case", deny_unknown_fields)] struct A { #[serde(skip)] b: u8, #[serde(default)] c: u8 } },
        quote! { struct A { #[serde(skip_serializing, skip_deserializing)] b: u8 } },
        quote! { struct A { #[serde(skip, skip_serializing_if = "none")] b: u8 } },
        quote! { #[serde(from = "B", into = "B")] struct A { #[serde(flatten)] b: u8 } },
        quote! { enum A { B, #[serde(skip_serializing)] C, D, #[serde(skip)] E } },
    ] {
        assert_eq!(why(fine), "");
    }
}

#[test]
fn what_is_encoded_with_a_type_is_found() {
    let within = |tokens| {
        let types = places::encoded_within(&syn::parse2(tokens).unwrap());
        let types = types.iter().map(|ty| quote! { #ty }.to_string());
        types.collect::<Vec<_>>().join(", ")
    };
    for (tokens, wanted) in [
        (
            quote! { struct A { b: B, c: Option<C>, d: (D, [E; 2]) } },
            "B, Option < C >, C, D, E",
        ),
        (
            quote! { enum A { B(C), #[serde(skip)] D(E), F { g: G } } },
            "C, G",
        ),
        (
            quote! { struct A { #[serde(skip)] b: B, #[serde(with = "m")] c: C, d: PhantomData<D> } },
            "",
        ),
        (
            quote! { #[serde(try_from = "B", into = "C<D>")] struct A { e: E } },
            "B, C < D >, D",
        ),
    ] {
        assert_eq!(within(tokens), wanted);
    }
}

#[test]
fn attributes_are_read_and_checked() {
    let attributes = |tokens| Attributes::read(&syn::parse2::<DeriveInput>(tokens).unwrap().attrs);
    let (read, mistakes) = attributes(
        quote! { #[message(serde, accepts = ["0x00000000000000ff", 7], crate = "rt")] struct A; },
    );
    assert!(mistakes.is_none());
    assert!(read.serde);
    assert_eq!(read.accepts, [255, 7]);
    assert_eq!(
        quote::ToTokens::to_token_stream(&read.runtime).to_string(),
        "rt"
    );
    for wrong in [
        quote! { #[message(accept = [])] struct A; },
        quote! { #[message(accepts = "0x00000000000000ff")] struct A; },
        quote! { #[message(accepts = ["ff"])] struct A; },
        quote! { #[message(crate = 5)] struct A; },
        quote! { #[message(crate = "1x")] struct A; },
        quote! { #[message(serde, serde)] struct A; },
    ] {
        assert!(attributes(wrong.clone()).1.is_some(), "{wrong}");
    }
}

#[test]
fn an_attribute_on_a_field_or_variant_is_refused_at_each_place() {
    let of_struct = mistakes_of(quote! {
        struct Tick {
            #[message(skip)]
            a: u8,
            #[serde(default)]
            b: u8,
            #[message(default = "zero")]
            c: u8,
            #[message(serde)]
            d: u8,
        }
    });
    assert_eq!(
        of_struct,
        [
            "`#[message(…)]` stands on a type, not on a field\nhelp: serde encodes the field: write `#[serde(skip)]`",
            "`#[message(…)]` stands on a type, not on a field\nhelp: serde encodes the field: write `#[serde(default = \"zero\")]`",
            "`#[message(…)]` stands on a type, not on a field\nhelp: write `#[message(serde)]` above the type",
        ]
    );
    let of_enum = mistakes_of(quote! {
        enum Event {
            #[message(rename = "x")]
            Swap { #[message] a: u8 },
        }
    });
    assert_eq!(
        of_enum,
        [
            "`#[message(…)]` stands on a type, not on a variant\nhelp: serde encodes the variant: write `#[serde(rename = \"x\")]`",
            "`#[message(…)]` stands on a type, not on a field\nhelp: remove it",
        ]
    );
}

#[test]
fn an_array_longer_than_serde_knows_is_refused_where_serde_is_asked() {
    let told = "serde encodes arrays of at most 32 elements\nhelp: hold `Vec<u8>`, or say how it is encoded: `#[serde(with = \"…\")]`";
    let fields = quote! {
        {
            short: [u8; 32],
            long: [u8; 64],
            inside: Option<(u8, [u8; 33])>,
            #[serde(with = "bytes")]
            otherwise: [u8; 64],
            theirs: Big<[u8; 64]>,
        }
    };
    let asked = mistakes_of(quote! { #[message(serde)] struct Signed #fields });
    assert_eq!(asked, [told, told]);
    assert!(mistakes_of(quote! { struct Signed #fields }).is_empty());
}
