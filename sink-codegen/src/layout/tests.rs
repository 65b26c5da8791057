use quote::quote;

use super::*;
use crate::generate::load;
use crate::input::Options;

fn laid_out(tokens: TokenStream) -> String {
    let registry = Registry {
        base: sink_schema::SourceFile::new(
            "services.toml",
            "[services.a]\ntype = \"relay\"\nmessage = \"crate::Tick\"\n",
        ),
        overlays: Vec::new(),
    };
    let (plan, mistakes) = load(&registry, &Options::default());
    assert!(!mistakes.has_errors(), "{mistakes}");
    let text = text(tokens, &plan, &registry);
    let (header, rest) = text.split_once('\n').unwrap();
    assert!(header.starts_with("// @generated"), "{header}");
    rest.to_owned()
}

#[test]
fn an_item_a_field_and_a_statement_have_a_line_each() {
    let tokens = quote! {
        #[allow(dead_code, unreachable_pub)]
        pub struct One<T, U> { pub a: Vec<T>, b: &'static [U] }
        impl<T, U> One<T, U> where T: Clone + 'static {
            pub fn new(a: T, _: U) -> ::core::result::Result<Self, ()> { let x = a.b::<T>(); Self { x, y: || X::y(&x) } }
        }
        const LIST: &[Row] = &[Row::of::<T>(&["a", "b"]), Row::of::<U>(&[])];
    };
    let expected = "\
#[allow(dead_code, unreachable_pub)]
pub struct One<T, U> {
    pub a: Vec<T>,
    b: &'static[U]
}
impl<T, U> One<T, U>
where T: Clone + 'static {
    pub fn new(a: T, _: U) -> ::core::result::Result<Self, ()> {
        let x = a.b::<T>();
        Self {
            x,
            y: ||X::y(&x)
        }
    }
}
const LIST: &[Row] = &[Row::of::<T>(&[\"a\", \"b\"]),
Row::of::<U>(&[])];
";
    assert_eq!(laid_out(tokens), expected);
}

#[test]
fn definitions_carry_the_line_of_the_registry() {
    let tokens = quote! { type services_toml_line_3 = crate::Tick; pub mod services { pub struct a; pub struct b; } };
    let expected = "\
type services_toml_line_3 = crate::Tick; // services.toml:3: `message` of `a`
pub mod services {
    pub struct a; // services.toml:1
    pub struct b;
}
";
    assert_eq!(laid_out(tokens), expected);
}

#[test]
fn documentation_is_a_comment_only_where_that_says_the_same() {
    let tokens = quote! {
        #[doc = " plain"]
        #[doc = ""]
        #[doc = "/ a comment"]
        #[doc = " \"quoted\""]
        #[doc(hidden)]
        type A = B;
    };
    let expected = "\
/// plain
///
#[doc = \"/ a comment\"]
#[doc = \" \\\"quoted\\\"\"]
#[doc(hidden)]
type A = B;
";
    assert_eq!(laid_out(tokens), expected);
}
