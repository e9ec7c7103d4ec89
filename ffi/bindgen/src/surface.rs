//! The ABI as values: what our own generators (C#, the comparing C file) go by.

use std::io;

use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, Fields, FnArg, Ident, Item, Lit, LitInt, Meta, Pat, ReturnType, Token, Type, TypePath};

/// Everything that crosses.
pub(crate) struct Surface {
    /// In the order of the source; so are the others.
    pub(crate) constants: Vec<Constant>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) functions: Vec<Function>,
}

/// A number with a name; all are `u32`.
pub(crate) struct Constant {
    pub(crate) comment: Vec<String>,
    pub(crate) name: String,
    pub(crate) value: u32,
}

/// A struct of C's layout.
pub(crate) struct Struct {
    pub(crate) comment: Vec<String>,
    pub(crate) name: String,
    pub(crate) fields: Vec<Value>,
}

/// A field or an argument.
pub(crate) struct Value {
    pub(crate) comment: Vec<String>,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// A function.
pub(crate) struct Function {
    pub(crate) comment: Vec<String>,
    pub(crate) name: String,
    pub(crate) arguments: Vec<Value>,
    pub(crate) answer: Kind,
}

/// A type.
pub(crate) enum Kind {
    /// A number, `char`, or a struct of the ABI, by its name in Rust.
    Plain(String),
    /// A pointer to one.
    Pointer(String),
}

/// Reads the ABI's two files.
///
/// # Errors
/// For anything in them that is not a constant, a struct, a function, or a type that crosses.
pub(crate) fn read(abi: &str, exports: &str) -> io::Result<Surface> {
    let mut surface = Surface { constants: Vec::new(), structs: Vec::new(), functions: Vec::new() };
    for item in syn::parse_file(abi).map_err(io::Error::other)?.items {
        match item {
            Item::Const(constant) => surface.constants.push(Constant {
                comment: comment(&constant.attrs),
                name: constant.ident.to_string(),
                value: number(&constant.expr)?,
            }),
            Item::Struct(shape) => surface.structs.push(self::shape(shape)?),
            // The name of C's `char`.
            Item::Type(_) => {}
            _ => return Err(io::Error::other("abi.rs holds something that is neither a constant nor a struct")),
        }
    }
    for item in syn::parse_file(exports).map_err(io::Error::other)?.items {
        match item {
            Item::Macro(called) if called.mac.path.is_ident("exports") => {
                let Exports(functions) = called.mac.parse_body().map_err(io::Error::other)?;
                surface.functions.extend(functions);
            }
            Item::Use(_) => {}
            _ => return Err(io::Error::other("exports.rs holds something beside its exports")),
        }
    }
    Ok(surface)
}

fn shape(shape: syn::ItemStruct) -> io::Result<Struct> {
    let Fields::Named(fields) = shape.fields else { return Err(io::Error::other("a struct without names")) };
    let field = |field: syn::Field| {
        let name = field.ident.as_ref().map(Ident::to_string).unwrap_or_default();
        Ok(Value { comment: comment(&field.attrs), kind: kind(&field.ty)?, name })
    };
    let fields = fields.named.into_iter().map(field).collect::<io::Result<_>>()?;
    Ok(Struct { comment: comment(&shape.attrs), name: shape.ident.to_string(), fields })
}

/// The lines of a comment, without the space that stands before each.
fn comment(attributes: &[Attribute]) -> Vec<String> {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(value) if value.path.is_ident("doc") => match &value.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().strip_prefix(' ').map_or_else(|| text.value(), str::to_owned)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect()
}

fn number(value: &Expr) -> io::Result<u32> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => LitInt::base10_parse(number).map_err(io::Error::other),
            _ => Err(io::Error::other("a constant that is no number")),
        },
        _ => Err(io::Error::other("a constant that is no literal: generators cannot compute")),
    }
}

fn kind(kind: &Type) -> io::Result<Kind> {
    let name = |kind: &Type| match kind {
        Type::Path(TypePath { path, .. }) => path.get_ident().map(Ident::to_string),
        _ => None,
    };
    match kind {
        Type::Ptr(pointer) => name(&pointer.elem).map(Kind::Pointer),
        kind => name(kind).map(Kind::Plain),
    }
    .ok_or_else(|| io::Error::other("a type that is neither a name nor a pointer to one"))
}

struct Exports(Vec<Function>);

impl Parse for Exports {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut functions = Vec::new();
        while !input.is_empty() {
            let attributes = input.call(Attribute::parse_outer)?;
            let signature: syn::Signature = input.parse()?;
            input.parse::<Token![=]>()?;
            input.parse::<syn::Path>()?;
            input.parse::<Token![;]>()?;
            functions.push(function(&attributes, &signature).map_err(|err| input.error(err))?);
        }
        Ok(Self(functions))
    }
}

fn function(attributes: &[Attribute], signature: &syn::Signature) -> io::Result<Function> {
    let argument = |argument: &FnArg| match argument {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) => Ok(Value { comment: Vec::new(), name: name.ident.to_string(), kind: kind(&typed.ty)? }),
            _ => Err(io::Error::other("an argument without a name")),
        },
        FnArg::Receiver(_) => Err(io::Error::other("a method")),
    };
    let ReturnType::Type(_, answer) = &signature.output else {
        return Err(io::Error::other("a function that answers nothing"));
    };
    Ok(Function {
        comment: comment(attributes),
        name: signature.ident.to_string(),
        arguments: signature.inputs.iter().map(argument).collect::<io::Result<_>>()?,
        answer: kind(answer)?,
    })
}
