"""The trie of keys: token sequences to codes, as open-addressing hash arrays (compiled).

The first token of a key leads through `root` to a node; each further token is an edge, found by hashing (node, token).
"""

from __future__ import annotations

import numba
import numpy as np

from prealign.draws import GOLDEN

NO_EDGE = np.uint64(0xFFFFFFFFFFFFFFFF)
_GOLDEN = np.uint64(GOLDEN)


@numba.njit(cache=True, nogil=True)
def find_edge(edge_keys, edge_nodes, node, token):  # type: ignore[no-untyped-def]
    """The node at the end of an edge, 0 where there is none."""
    mask = np.uint64(edge_keys.shape[0] - 1)
    wanted = np.uint64(node) << np.uint64(32) | np.uint64(token)
    hashed = wanted * _GOLDEN
    slot = (hashed ^ hashed >> np.uint64(32)) & mask
    while edge_keys[slot] != wanted:
        if edge_keys[slot] == NO_EDGE:
            return np.int32(0)
        slot = (slot + np.uint64(1)) & mask
    return edge_nodes[slot]


@numba.njit(cache=True, nogil=True)
def add_edge(edge_keys, edge_nodes, node, token, child):  # type: ignore[no-untyped-def]
    """Enter an edge that is not there yet."""
    mask = np.uint64(edge_keys.shape[0] - 1)
    wanted = np.uint64(node) << np.uint64(32) | np.uint64(token)
    hashed = wanted * _GOLDEN
    slot = (hashed ^ hashed >> np.uint64(32)) & mask
    while edge_keys[slot] != NO_EDGE:
        slot = (slot + np.uint64(1)) & mask
    edge_keys[slot], edge_nodes[slot] = wanted, child


@numba.njit(cache=True, nogil=True)
def build(ids, starts, stops, key_codes, root, edge_keys, edge_nodes, codes, has_children):  # type: ignore[no-untyped-def]
    """Enter keys `ids[starts:stops]` in order of precedence: of two with the same tokens the first wins.

    `root` [vocab], the edges, `codes` and `has_children` (room for as many nodes as there are tokens in all keys) come
    empty and are filled. Returns the number of nodes and of edges.
    """
    n_nodes, n_edges = 1, 0
    for key in range(starts.shape[0]):
        if stops[key] == starts[key]:
            continue
        node = root[ids[starts[key]]]
        if node == 0:
            node = np.int32(n_nodes)
            root[ids[starts[key]]] = node
            n_nodes += 1
        for place in range(starts[key] + 1, stops[key]):
            child = find_edge(edge_keys, edge_nodes, node, ids[place])
            if child == 0:
                child = np.int32(n_nodes)
                add_edge(edge_keys, edge_nodes, node, ids[place], child)
                has_children[node] = 1
                n_nodes += 1
                n_edges += 1
            node = child
        if codes[node] == -1:
            codes[node] = key_codes[key]
    return n_nodes, n_edges


@numba.njit(cache=True, nogil=True)
def move_edges(edge_keys, edge_nodes, new_keys, new_nodes):  # type: ignore[no-untyped-def]
    """Enter all edges into arrays of another size."""
    for slot in range(edge_keys.shape[0]):
        if edge_keys[slot] != NO_EDGE:
            node, token = edge_keys[slot] >> np.uint64(32), edge_keys[slot] & np.uint64(0xFFFFFFFF)
            add_edge(new_keys, new_nodes, node, token, edge_nodes[slot])
