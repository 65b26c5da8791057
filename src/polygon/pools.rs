//! The pools this application knows: address, protocol, and the decimals without which an amount is no quantity.
//! A log of any other contract is refused, whatever its topics say: look-alikes share signatures.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, address};

/// The pools to listen to.
#[derive(Clone, Debug)]
pub struct Pools {
    by_address: HashMap<Address, Pool>,
}

/// One liquidity pool of two tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its contract.
    pub address: Address,
    /// Whose contract it is.
    pub protocol: Protocol,
    /// The token whose address is lower.
    pub token0: Token,
    /// The other.
    pub token1: Token,
    /// Which of the two prices are quoted in.
    pub quote: Quote,
}

/// Whose contract a pool is; it decides what its logs mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Uniswap V2 and its copies, such as QuickSwap V2.
    UniswapV2,
    /// Uniswap V3.
    UniswapV3,
}

/// A token, as far as a price needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// `USDC`.
    pub symbol: String,
    /// One whole token is `10^decimals` units.
    pub decimals: u8,
}

/// The token in which a pool's price is said: "3,800 USDC per WETH" quotes USDC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// In `token0` per `token1`.
    Token0,
    /// In `token1` per `token0`.
    Token1,
}

/// A pool's description that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` does not describe a pool; write ADDRESS=v3:USDC/6:WETH/18 (or v2), a `*` behind the token that prices are quoted in"
)]
pub struct NotAPool(String);

// === impl Pools ===

impl Pools {
    /// No pool at all.
    pub fn none() -> Self {
        Self {
            by_address: HashMap::new(),
        }
    }

    /// The pools compiled in.
    pub fn known() -> Self {
        let mut pools = Self::none();
        pools.add(Pool {
            address: address!("45dda9cb7c25131df268515131f647d726f50608"),
            protocol: Protocol::UniswapV3,
            token0: Token::new("USDC", 6),
            token1: Token::new("WETH", 18),
            quote: Quote::Token0,
        });
        pools.add(Pool {
            address: address!("4a35582a710e1f4b2030a3f826da20bfb6703c09"),
            protocol: Protocol::UniswapV2,
            token0: Token::new("WETH", 18),
            token1: Token::new("DAI", 18),
            quote: Quote::Token1,
        });
        pools
    }

    /// Adds a pool, or replaces the one of the same address.
    pub fn add(&mut self, pool: Pool) {
        self.by_address.insert(pool.address, pool);
    }

    /// The pool at `address`, if it is one of ours.
    pub fn get(&self, address: &Address) -> Option<&Pool> {
        self.by_address.get(address)
    }
}

// === impl Pool ===

impl Pool {
    /// What a person calls it: `USDC/WETH v3`.
    pub fn name(&self) -> String {
        format!(
            "{}/{} {}",
            self.token0.symbol, self.token1.symbol, self.protocol
        )
    }

    /// What a price is in: `USDC per WETH`.
    pub fn unit(&self) -> String {
        match self.quote {
            Quote::Token0 => format!("{} per {}", self.token0.symbol, self.token1.symbol),
            Quote::Token1 => format!("{} per {}", self.token1.symbol, self.token0.symbol),
        }
    }

    /// The price a person reads, from units of `token1` per unit of `token0`.
    pub fn price(&self, token1_per_token0: f64) -> f64 {
        let whole = token1_per_token0
            * 10f64.powi(i32::from(self.token0.decimals) - i32::from(self.token1.decimals));
        match self.quote {
            Quote::Token0 => whole.recip(),
            Quote::Token1 => whole,
        }
    }
}

impl FromStr for Pool {
    type Err = NotAPool;

    /// Reads `ADDRESS=v3:USDC/6*:WETH/18`; without a `*` prices are quoted in the second token.
    fn from_str(text: &str) -> Result<Self, NotAPool> {
        parse(text).ok_or_else(|| NotAPool(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Pool> {
    let (address, rest) = text.split_once('=')?;
    let mut parts = rest.split(':');
    let protocol = match parts.next()? {
        "v2" => Protocol::UniswapV2,
        "v3" => Protocol::UniswapV3,
        _ => return None,
    };
    let (token0, quoted0) = token(parts.next()?)?;
    let (token1, _) = token(parts.next()?)?;
    let quote = if quoted0 {
        Quote::Token0
    } else {
        Quote::Token1
    };
    parts.next().is_none().then_some(Pool {
        address: address.parse().ok()?,
        protocol,
        token0,
        token1,
        quote,
    })
}

fn token(text: &str) -> Option<(Token, bool)> {
    let (symbol, decimals) = text.split_once('/')?;
    let quoted = decimals.ends_with('*');
    Some((
        Token::new(symbol, decimals.trim_end_matches('*').parse().ok()?),
        quoted,
    ))
}

// === impl Token ===

impl Token {
    /// A token of `10^decimals` units.
    pub fn new(symbol: &str, decimals: u8) -> Self {
        Self {
            symbol: symbol.to_owned(),
            decimals,
        }
    }
}

// === impl Protocol ===

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UniswapV2 => "v2",
            Self::UniswapV3 => "v3",
        })
    }
}
