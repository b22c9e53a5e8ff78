/* SPDX-License-Identifier: MIT */
/*
 * Packing is one transposition, described by the table of fields, of blocks
 * that are, for some types, arranged otherwise before; nothing is rounded, so
 * unpacking gives back the very bytes.
 */
#include "config.h"

#include "kernels/pack.h"

#include <string.h>

#include "base/mem.h"

#define MAX_FIELDS	5
#define BLOCK_MAX	256	/* bytes of one that is arranged */

struct field {
	uint16_t	 offset;	/* in GGUF's block */
	uint16_t	 bytes;
	uint16_t	 unit;
};

/* Where Q6_K has element i of 256: the byte and the shift of its low nibble,
 * those of its two high bits. */
struct place_q6 {
	size_t	 low, high;
	int	 low_shift, high_shift;
};

static inline struct place_q6
place_q6(size_t i)
{
	size_t half = i / 128, quarter = i % 128 / 32, k = i % 32;

	return (struct place_q6){ 64 * half + 32 * (quarter % 2) + k,
	    128 + 32 * half + k, 4 * (int)(quarter / 2), 2 * (int)quarter };
}

/* A block as it is packed (pack.h), from GGUF's ... */
static void
arrange_q6_k(const uint8_t *block, uint8_t *to)
{
	uint8_t q[256];
	size_t i, j;

	for (i = 0; i < 256; i++) {
		struct place_q6 p = place_q6(i);

		q[i] = (uint8_t)((block[p.low] >> p.low_shift & 15) |
		    (block[p.high] >> p.high_shift & 3) << 4);
	}
	for (i = 0; i < 256; i += 16)
		for (j = 0; j < 12; j++)
			*to++ = (uint8_t)(q[i + j] |
			    (q[i + 12 + j % 4] >> (4 - j / 4 * 2) & 3) << 6);
	memcpy(to, block + 192, 18);
}

/* ... and back. */
static void
restore_q6_k(const uint8_t *arranged, uint8_t *block)
{
	size_t i;

	memset(block, 0, 192);
	for (i = 0; i < 256; i++) {
		const uint8_t *a = arranged + i / 16 * 12;
		struct place_q6 p = place_q6(i);
		size_t k = i % 16, at = k % 4;
		int q = k < 12 ? a[k] & 63 : a[at] >> 6 << 4 |
		    a[at + 4] >> 6 << 2 | a[at + 8] >> 6;

		block[p.low] |= (uint8_t)((q & 15) << p.low_shift);
		block[p.high] |= (uint8_t)(q >> 4 << p.high_shift);
	}
	memcpy(block + 192, arranged + 192, 18);
}

static const struct layout {
	struct field	 fields[MAX_FIELDS];
	enum act_form	 one, many;	/* activations: one row, more */
	/* from GGUF's block to one of as many bytes with the quants in another
	 * order, and back; or NULL */
	void		 (*arrange)(const uint8_t *block, uint8_t *to);
	void		 (*restore)(const uint8_t *arranged, uint8_t *block);
} layouts[TYPE_LIMIT] = {
	[TYPE_F32] = { { { 0, 4, 4 } }, ACT_F32, ACT_F32 },
	[TYPE_F16] = { { { 0, 2, 2 } }, ACT_F32, ACT_F32 },
	[TYPE_BF16] = { { { 0, 2, 2 } }, ACT_F32, ACT_F32 },
	[TYPE_Q4_0] = { { { 2, 16, 4 }, { 0, 2, 2 } }, ACT_Q8, ACT_Q8 },
	[TYPE_Q4_1] = { { { 4, 16, 4 }, { 0, 2, 2 }, { 2, 2, 2 } }, ACT_Q8,
	    ACT_Q8 },
	[TYPE_Q5_0] = { { { 6, 16, 4 }, { 2, 4, 4 }, { 0, 2, 2 } }, ACT_Q8,
	    ACT_Q8 },
	[TYPE_Q5_1] = { { { 8, 16, 4 }, { 4, 4, 4 }, { 0, 2, 2 },
	    { 2, 2, 2 } }, ACT_Q8, ACT_Q8 },
	[TYPE_MXFP4] = { { { 1, 16, 4 }, { 0, 1, 1 } }, ACT_Q8, ACT_Q8 },
	[TYPE_Q8_0] = { { { 2, 32, 4 }, { 0, 2, 2 } }, ACT_Q8, ACT_Q16 },
	[TYPE_IQ4_NL] = { { { 2, 16, 4 }, { 0, 2, 2 } }, ACT_SM8, ACT_SM8 },
	[TYPE_IQ4_XS] = { { { 8, 128, 4 }, { 4, 4, 4 }, { 2, 2, 2 },
	    { 0, 2, 2 } }, ACT_SM8K, ACT_SM8K },
	[TYPE_Q2_K] = { { { 16, 64, 4 }, { 0, 16, 4 }, { 80, 2, 2 },
	    { 82, 2, 2 } }, ACT_Q8K, ACT_Q8K },
	[TYPE_Q3_K] = { { { 32, 64, 4 }, { 0, 32, 4 }, { 96, 12, 4 },
	    { 108, 2, 2 } }, ACT_Q8K, ACT_Q8K },
	[TYPE_Q4_K] = { { { 16, 128, 4 }, { 4, 12, 4 }, { 0, 2, 2 },
	    { 2, 2, 2 } }, ACT_Q8K, ACT_Q8K },
	[TYPE_Q5_K] = { { { 48, 128, 4 }, { 16, 32, 4 }, { 4, 12, 4 },
	    { 0, 2, 2 }, { 2, 2, 2 } }, ACT_Q8K, ACT_Q8K },
	[TYPE_Q6_K] = { { { 0, 192, 4 }, { 192, 16, 4 }, { 208, 2, 2 } },
	    ACT_Q8K, ACT_Q8K, arrange_q6_k, restore_q6_k },
};

bool
pack_has(enum tensor_type t, size_t n_in)
{
	return layouts[t].fields[0].bytes != 0 && n_in > 0 &&
	    n_in % type_info(t)->block_n == 0;
}

enum act_form
pack_act(enum tensor_type t, size_t n_rows)
{
	enum act_form form = n_rows == 1 ? layouts[t].one : layouts[t].many;

	if ((form == ACT_Q16 && kern->no_q16) ||
	    (form == ACT_SM8 && kern->no_sm))
		return ACT_Q8;
	return form == ACT_SM8K && kern->no_sm ? ACT_Q8K : form;
}

size_t
pack_panel_bytes(enum tensor_type t, size_t n_in)
{
	return PANEL_ROWS * type_row_bytes(t, n_in);
}

size_t
pack_n_panels(size_t n_out)
{
	return (n_out + PANEL_ROWS - 1) / PANEL_ROWS;
}

size_t
pack_bytes(enum tensor_type t, size_t n_in, size_t n_out)
{
	return pack_n_panels(n_out) * pack_panel_bytes(t, n_in);
}

/* The units of one field of one row; copies of a constant size are moves. */
static void
put_field(const uint8_t *from, const struct field *f, size_t row, uint8_t *to)
{
	size_t n = f->bytes / f->unit, i;

	to += row * f->unit;
	switch (f->unit) {
	case 4:
		for (i = 0; i < n; i++)
			memcpy(to + 4 * PANEL_ROWS * i, from + 4 * i, 4);
		break;
	case 2:
		for (i = 0; i < n; i++)
			memcpy(to + 2 * PANEL_ROWS * i, from + 2 * i, 2);
		break;
	default:
		for (i = 0; i < n; i++)
			to[PANEL_ROWS * i] = from[i];
		break;
	}
}

/* One block of one row, `to` being where the block column begins. */
static void
put_block(enum tensor_type t, const uint8_t *from, size_t row, uint8_t *to)
{
	const struct field *f = layouts[t].fields;
	uint8_t arranged[BLOCK_MAX];

	if (layouts[t].arrange != NULL) {
		layouts[t].arrange(from, arranged);
		from = arranged;
	}
	for (; f < layouts[t].fields + MAX_FIELDS && f->bytes != 0; f++) {
		put_field(from + f->offset, f, row, to);
		to += (size_t)PANEL_ROWS * f->bytes;
	}
}

void
pack_get_block(enum tensor_type t, const void *panel, size_t block, size_t row,
    uint8_t *bytes)
{
	const struct field *f = layouts[t].fields;
	size_t block_bytes = type_info(t)->block_bytes, i;
	const uint8_t *from = panel;
	uint8_t arranged[BLOCK_MAX], *to = bytes;

	if (layouts[t].restore != NULL)
		to = arranged;
	from += block * PANEL_ROWS * block_bytes;
	for (; f < layouts[t].fields + MAX_FIELDS && f->bytes != 0; f++) {
		for (i = 0; i < f->bytes; i += f->unit)
			memcpy(to + f->offset + i,
			    from + PANEL_ROWS * i + row * f->unit, f->unit);
		from += (size_t)PANEL_ROWS * f->bytes;
	}
	if (layouts[t].restore != NULL)
		layouts[t].restore(arranged, bytes);
}

/* Elements that are their own blocks: a row is one field. */
static void
put_elements(const struct matrix *w, const uint8_t *from, size_t n_rows,
    uint8_t *panel)
{
	struct field f = layouts[w->type].fields[0];
	size_t at, r;

	/* some lines at a time, so that all rows' stay in the near cache */
	for (at = 0; at < w->row_bytes; at += 128) {
		f.bytes = (uint16_t)MEM_MIN((size_t)128, w->row_bytes - at);
		for (r = 0; r < n_rows; r++)
			put_field(from + r * w->row_bytes + at, &f, r,
			    panel + PANEL_ROWS * at);
	}
}

void
pack_panel(const struct matrix *w, size_t i, void *to)
{
	const uint8_t *from = w->data;
	size_t block_bytes = type_info(w->type)->block_bytes, b, r;
	size_t n_blocks = w->n_in / type_info(w->type)->block_n;
	size_t first = i * PANEL_ROWS;
	size_t n = MEM_MIN((size_t)PANEL_ROWS, w->n_out - first);
	size_t column_bytes = PANEL_ROWS * block_bytes;
	uint8_t *panel = to;

	from += first * w->row_bytes;
	if (n < PANEL_ROWS)
		memset(panel, 0, n_blocks * column_bytes);
	if (type_info(w->type)->block_n == 1) {
		put_elements(w, from, n, panel);
		return;
	}
	for (b = 0; b < n_blocks; b++)
		for (r = 0; r < n; r++)
			put_block(w->type, from + r * w->row_bytes +
			    b * block_bytes, r, panel + b * column_bytes);
}

void
pack(const struct matrix *w, void *to)
{
	size_t bytes = pack_panel_bytes(w->type, w->n_in), i;
	uint8_t *panel = to;

	for (i = 0; i < pack_n_panels(w->n_out); i++)
		pack_panel(w, i, panel + i * bytes);
}
