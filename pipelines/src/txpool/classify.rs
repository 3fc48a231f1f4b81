//! What a transaction is for.

use alloy_consensus::Transaction;
use alloy_primitives::Selector;
use pipewright::stage;

use super::types::{Kept, Routed, Swap};

/// Routes by kind. A swap is known by the first four bytes of its input, whatever contract it calls.
#[stage]
pub fn classify(tx: Kept) -> Routed {
    let inner = &tx.signed.tx;
    if inner.is_eip4844() {
        return Routed::Blob(tx);
    }
    if inner.is_create() {
        return Routed::Creation(tx);
    }
    match inner.function_selector().map(swap_function) {
        Some(Some(function)) => Routed::Swap(Swap { tx, function }),
        None if inner.input().is_empty() && !inner.is_eip7702() => Routed::Transfer(tx),
        _ => Routed::Call(tx),
    }
}

fn swap_function(selector: &Selector) -> Option<&'static str> {
    let at = SWAPS
        .binary_search_by_key(&selector.0, |(selector, ..)| *selector)
        .ok()?;
    SWAPS.get(at).map(|(_, function, _)| *function)
}

/// Functions that trade: their selectors, in order; their names; and the signatures that the selectors are hashed from.
const SWAPS: &[([u8; 4], &str, &str)] = &[
    (
        [0x04, 0xe4, 0x5a, 0xaf],
        "Uniswap V3 exactInputSingle",
        "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))",
    ),
    (
        [0x05, 0x02, 0xb1, 0xc5],
        "1inch unoswap",
        "unoswap(address,uint256,uint256,uint256[])",
    ),
    (
        [0x07, 0xed, 0x23, 0x79],
        "1inch swap",
        "swap(address,(address,address,address,address,uint256,uint256,uint256),bytes)",
    ),
    (
        [0x09, 0xb8, 0x13, 0x46],
        "Uniswap V3 exactOutput",
        "exactOutput((bytes,address,uint256,uint256))",
    ),
    (
        [0x12, 0xaa, 0x3c, 0xaf],
        "1inch swap",
        "swap(address,(address,address,address,address,uint256,uint256,uint256),bytes,bytes)",
    ),
    (
        [0x18, 0xcb, 0xaf, 0xe5],
        "Uniswap V2 swapExactTokensForETH",
        "swapExactTokensForETH(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x24, 0x85, 0x6b, 0xc3],
        "Uniswap Universal execute",
        "execute(bytes,bytes[])",
    ),
    (
        [0x35, 0x93, 0x56, 0x4c],
        "Uniswap Universal execute",
        "execute(bytes,bytes[],uint256)",
    ),
    (
        [0x38, 0xed, 0x17, 0x39],
        "Uniswap V2 swapExactTokensForTokens",
        "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x3d, 0xf0, 0x21, 0x24],
        "Curve exchange",
        "exchange(int128,int128,uint256,uint256)",
    ),
    (
        [0x41, 0x4b, 0xf3, 0x89],
        "Uniswap V3 exactInputSingle",
        "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    ),
    (
        [0x41, 0x55, 0x65, 0xb0],
        "0x transformERC20",
        "transformERC20(address,address,uint256,uint256,(uint32,bytes)[])",
    ),
    (
        [0x4a, 0x25, 0xd9, 0x4a],
        "Uniswap V2 swapTokensForExactETH",
        "swapTokensForExactETH(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x50, 0x23, 0xb4, 0xdf],
        "Uniswap V3 exactOutputSingle",
        "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint160))",
    ),
    (
        [0x52, 0xbb, 0xbe, 0x29],
        "Balancer swap",
        "swap((bytes32,uint8,address,address,uint256,bytes),(address,bool,address,bool),uint256,uint256)",
    ),
    (
        [0x5c, 0x11, 0xd7, 0x95],
        "Uniswap V2 swapExactTokensForTokensSupportingFeeOnTransferTokens",
        "swapExactTokensForTokensSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x79, 0x1a, 0xc9, 0x47],
        "Uniswap V2 swapExactTokensForETHSupportingFeeOnTransferTokens",
        "swapExactTokensForETHSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x7f, 0xf3, 0x6a, 0xb5],
        "Uniswap V2 swapExactETHForTokens",
        "swapExactETHForTokens(uint256,address[],address,uint256)",
    ),
    (
        [0x88, 0x03, 0xdb, 0xee],
        "Uniswap V2 swapTokensForExactTokens",
        "swapTokensForExactTokens(uint256,uint256,address[],address,uint256)",
    ),
    (
        [0x94, 0x5b, 0xce, 0xc9],
        "Balancer batchSwap",
        "batchSwap(uint8,(bytes32,uint256,uint256,uint256,bytes)[],address[],(address,bool,address,bool),int256[],uint256)",
    ),
    (
        [0xa6, 0x41, 0x7e, 0xd6],
        "Curve exchange_underlying",
        "exchange_underlying(int128,int128,uint256,uint256)",
    ),
    (
        [0xb6, 0xf9, 0xde, 0x95],
        "Uniswap V2 swapExactETHForTokensSupportingFeeOnTransferTokens",
        "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256,address[],address,uint256)",
    ),
    (
        [0xb8, 0x58, 0x18, 0x3f],
        "Uniswap V3 exactInput",
        "exactInput((bytes,address,uint256,uint256))",
    ),
    (
        [0xc0, 0x4b, 0x8d, 0x59],
        "Uniswap V3 exactInput",
        "exactInput((bytes,address,uint256,uint256,uint256))",
    ),
    (
        [0xd9, 0x62, 0x7a, 0xa4],
        "0x sellToUniswap",
        "sellToUniswap(address[],uint256,uint256,bool)",
    ),
    (
        [0xdb, 0x3e, 0x21, 0x98],
        "Uniswap V3 exactOutputSingle",
        "exactOutputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    ),
    (
        [0xe4, 0x49, 0x02, 0x2e],
        "1inch uniswapV3Swap",
        "uniswapV3Swap(uint256,uint256,uint256[])",
    ),
    (
        [0xf2, 0x8c, 0x04, 0x98],
        "Uniswap V3 exactOutput",
        "exactOutput((bytes,address,uint256,uint256,uint256))",
    ),
    (
        [0xfb, 0x3b, 0xdb, 0x41],
        "Uniswap V2 swapETHForExactTokens",
        "swapETHForExactTokens(uint256,address[],address,uint256)",
    ),
];

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn selectors_are_the_hashes_of_their_signatures() {
        for (selector, function, signature) in SWAPS {
            assert_eq!(
                selector[..],
                keccak256(signature)[..4],
                "{function}: {signature}"
            );
        }
    }

    #[test]
    fn selectors_are_in_order() {
        assert!(SWAPS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn only_known_selectors_are_swaps() {
        assert_eq!(
            swap_function(&Selector::new([0x38, 0xed, 0x17, 0x39])),
            Some("Uniswap V2 swapExactTokensForTokens")
        );
        assert_eq!(
            swap_function(&Selector::new([0xa9, 0x05, 0x9c, 0xbb])),
            None
        );
    }
}
