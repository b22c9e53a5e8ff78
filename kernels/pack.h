/* SPDX-License-Identifier: MIT */
#ifndef BM_KERNELS_PACK_H
#define BM_KERNELS_PACK_H

/*
 * Packed weights: the layout that panel kernels read, the same for all CPU
 * levels.  16 rows of a matrix make a panel, stored block column by block
 * column.  Within a block column every field of the type's block (quants
 * first, then scales) is cut into units of 4 bytes (2 for halves), and unit u
 * of the 16 rows lies together:
 *
 *	panel[block][field][unit][row 0..15][byte]
 *
 * So a packed matrix has as many bytes as GGUF's, except for the rows of zeros
 * that fill the last panel, and a vector register holds one unit of many rows.
 *
 * Q6_K's quants are arranged otherwise before: 16 elements are three units.
 * The bytes of unit j have the quants of quad j in bits 0 to 5; above are two
 * bits, 4 - 2 j and the next, of the quants of quad 3.  So three of four quads
 * come out with one operation, and a sub-block lies in one place.
 */

#include <stdbool.h>

#include "kernels/matmul.h"

#define PANEL_ROWS	16
/* Elements of floats that are summed in one chain (ref/panel.c) at most. */
#define PANEL_CHAIN	256
#define PACK_ALIGN	64	/* of a packed matrix in memory */
/* Rises whenever the bytes of some packed type change. */
#define PACK_VERSION	2

/* Elements in a chain of rows of n_in.  A sum has the least error when its
 * chains are about as long as they are many; long ones are faster. */
static inline size_t
panel_chain(size_t n_in)
{
	return n_in < PANEL_CHAIN ? PANEL_CHAIN / 4 : PANEL_CHAIN;
}

/* Whether matrices of the type with rows of n_in have a packed form. */
bool	 pack_has(enum tensor_type t, size_t n_in);
/* The form its panel kernel of the level in force wants for that many rows of
 * activations. */
enum act_form pack_act(enum tensor_type t, size_t n_rows);
/* Bytes of one panel of rows of n_in. */
size_t	 pack_panel_bytes(enum tensor_type t, size_t n_in);
/* Bytes of the whole matrix packed. */
size_t	 pack_bytes(enum tensor_type t, size_t n_in, size_t n_out);
/* Panels of a matrix of n_out rows. */
size_t	 pack_n_panels(size_t n_out);
/* Pack panel i of w to pack_panel_bytes at `panel`, of any alignment; panels
 * may be packed in any order, by any thread. */
void	 pack_panel(const struct matrix *w, size_t i, void *panel);
/* All panels, the first at `to`. */
void	 pack(const struct matrix *w, void *to);
/* The reverse, for one block of one row: its bytes as GGUF has them. */
void	 pack_get_block(enum tensor_type t, const void *panel, size_t block,
	    size_t row, uint8_t *bytes);

#endif
