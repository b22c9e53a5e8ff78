/* SPDX-License-Identifier: MIT */
/*
 * Models on top, below them the variants of the selected one side by side, so
 * that what a swap would change can be read across a line: the active variant
 * first, then the one that takes over, then the others as given.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/tui/parts.h"
#include "console/tui/view.h"

#define LABEL_W		13
#define VARIANT_W	15	/* at least, with the gap */
#define VARIANT_W_MAX	28
#define VARIANTS_MAX	16	/* side by side */

static const struct list_column columns[] = {
	{ .column = { "name", "NAME", FORM_TEXT, 10 }, .grows = true },
	{ .column = { "variant", "VARIANT", FORM_TEXT, 8 }, .priority = 2,
	    .grows = true },
	{ .column = { "state", "STATE", FORM_STATE, 8 } },
	{ .column = { "workers", "WORKERS", FORM_RANGE, 7 } },
	{ .column = { "threads", "THR", FORM_NUMBER, 3 }, .priority = 5 },
	{ .column = { "running", "RUN", FORM_NUMBER, 3 }, .priority = 1 },
	{ .column = { "queued", "QUEUE", FORM_NUMBER, 5 }, .priority = 1 },
	{ .column = { "tokens_per_s", "TOK/S", FORM_RATE, 7 },
	    .priority = 1 },
	{ .column = { "memory_bytes", "MEMORY", FORM_BYTES, 9 },
	    .priority = 3 },
	{ .column = { "canary_percent", "NEW%", FORM_NUMBER, 4 },
	    .priority = 4 },
	{ .column = { "errors_total", "ERRORS", FORM_NUMBER, 6 },
	    .priority = 6 },
	{ .column = { "requests_total", "REQUESTS", FORM_NUMBER, 8 },
	    .priority = 7 },
	{ .column = { "architecture", "ARCH", FORM_TEXT, 6 },
	    .priority = 9 },
	{ .column = { "parameters", "PARAMS", FORM_COUNT, 6 },
	    .priority = 8 },
	{ .column = { "context", "CONTEXT", FORM_NUMBER, 7 },
	    .priority = 10 },
	{ .column = { "reason", "REASON", FORM_TEXT, 10 }, .priority = 11,
	    .grows = true },
};

enum line { LINE_STATE, LINE_SHARE, LINE_PROGRESS, LINE_VALUE, LINE_SMALL,
    LINE_BITS, LINE_ERRORS, LINE_PERPLEXITY, LINE_QUANTILE };

/* The most telling lines first: the last go when there is little room. */
static const struct {
	enum line	 kind;
	const char	*label;
	const char	*field;
	enum column_form form;
} lines[] = {
	{ LINE_STATE, "state", "state", FORM_STATE },
	{ LINE_PROGRESS, "progress", "percent_done", FORM_NUMBER },
	{ LINE_SHARE, "share", "canary_percent", FORM_NUMBER },
	{ LINE_VALUE, "type", "type", FORM_TEXT },
	{ LINE_VALUE, "size", "file_bytes", FORM_BYTES },
	{ LINE_PERPLEXITY, "perplexity", "perplexity", FORM_NUMBER },
	{ LINE_SMALL, "KL, nats", "kl_divergence", FORM_NUMBER },
	{ LINE_VALUE, "tokens/s", "tokens_per_s", FORM_RATE },
	{ LINE_QUANTILE, "TTFT p95", "ttft_ms", FORM_MS },
	{ LINE_VALUE, "requests", "requests_total", FORM_NUMBER },
	{ LINE_ERRORS, "errors", "errors_total", FORM_NUMBER },
	{ LINE_BITS, "bits/weight", "bits_per_weight", FORM_NUMBER },
	{ LINE_VALUE, "running", "live", FORM_NUMBER },
	{ LINE_QUANTILE, "total p95", "duration_ms", FORM_MS },
	{ LINE_VALUE, "made from", "made_from", FORM_TEXT },
	{ LINE_VALUE, "reason", "reason", FORM_TEXT },
};

static void
init(struct view *v)
{
	v->list = list_new(columns, N_ELEMENTS(columns), "name");
}

static void
fini(struct view *v)
{
	list_free(v->list);
	v->list = NULL;
}

static void
update(struct view *v, const struct store *s)
{
	list_set_array(v->list, store_list(s, "models"));
}

/* ---- variants ---- */

static bool
is_compressing(const json_t *variant)
{
	return strcmp(row_text(variant, "state"), "compressing") == 0;
}

/* Small numbers come first. */
static int
rank(const json_t *variant, const json_t *model)
{
	if (row_is_true(variant, "active"))
		return 0;
	if (row_number(variant, "canary_percent") > 0 ||
	    strcmp(row_text(variant, "name"), row_text(model, "next")) == 0)
		return 1;
	return is_compressing(variant) ? 2 : 3;
}

/* Those of a model, in the order to be shown; returns how many there are,
 * out takes VARIANTS_MAX of them. */
static size_t
variants_of(const struct store *s, const json_t *model, const json_t **out)
{
	const char *name = row_text(model, "name");
	size_t i, n = 0, n_all = 0;
	json_t *variant;

	for (int k = 0; k <= 3; k++) {
		n_all = 0;
		json_array_foreach(store_list(s, "variants"), i, variant) {
			if (strcmp(row_text(variant, "model"), name) != 0)
				continue;
			n_all++;
			if (rank(variant, model) == k && n < VARIANTS_MAX)
				out[n++] = variant;
		}
	}
	return n_all;
}

/* The share of new requests that this variant gets, in per cent. */
static double
share_of(const json_t *variant, const json_t *model)
{
	double percent = row_number(model, "canary_percent");

	if (row_is_true(variant, "active"))
		return isnan(percent) ? 100 : 100 - percent;
	return row_number(variant, "canary_percent");
}

static void
draw_percent(const struct area *a, int y, int x, int w, double percent,
    enum role role)
{
	if (!(percent > 0)) {
		area_puts(a, y, x, ROLE_DIM, "-");
		return;
	}
	if (w > 8)
		area_bar(a, y, x, w - 5, role, percent / 100);
	area_printf(a, y, x + (w > 8 ? w - 5 : 0), ROLE_TEXT, "%4.0f%%",
	    percent);
}

/* The text of a line for a variant. */
static void
put_line(size_t i, const json_t *variant, struct buf *text)
{
	const char *field = lines[i].field;
	double v = row_number(variant, field), more;

	switch (lines[i].kind) {
	case LINE_QUANTILE:
		v = row_number_in(variant, field, "p95");
		part_number(lines[i].form, v > 0 ? v : NAN, text);
		return;
	case LINE_PERPLEXITY:
		more = v - row_number(variant, "reference_perplexity");
		if (isnan(v))
			buf_puts(text, "-");
		else
			buf_printf(text, "%.4g", v);
		if (isfinite(more) && more != 0)
			buf_printf(text, " (%+.2f)", more);
		return;
	case LINE_ERRORS:
		view_value(FORM_NUMBER, store_row_value(variant, field),
		    NULL, text);
		more = v / row_number(variant, "requests_total");
		if (v > 0 && isfinite(more))
			buf_printf(text, " (%.2g %%)", more * 100);
		return;
	case LINE_SMALL:
	case LINE_BITS:
		if (isnan(v) || (v == 0 && lines[i].kind == LINE_BITS))
			buf_puts(text, "-");
		else
			buf_printf(text, "%.3g", v);
		return;
	default:
		view_value(lines[i].form, store_row_value(variant, field),
		    NULL, text);
		return;
	}
}

static void
draw_value(const struct area *a, int y, int x, int w, size_t i,
    const json_t *variant, const json_t *model)
{
	double percent = row_number(variant, lines[i].field);
	enum role role = ROLE_TEXT;
	struct buf text;

	if (lines[i].kind == LINE_SHARE) {
		draw_percent(a, y, x, w, share_of(variant, model),
		    ROLE_GRAPH);
		return;
	}
	if (lines[i].kind == LINE_PROGRESS) {
		draw_percent(a, y, x, w, is_compressing(variant) ?
		    MEM_MAX(percent, 1.0) : NAN, ROLE_WARN);
		return;
	}
	buf_init(&text, SIZE_MAX / 8);
	put_line(i, variant, &text);
	if (lines[i].kind == LINE_STATE)
		role = state_role((struct slice){ (const char *)text.data,
		    text.len });
	else if (text.len == 0 || strcmp(buf_cstr(&text), "-") == 0)
		role = ROLE_DIM;
	area_fit(a, y, x, w, role, false, slice_of(text.len == 0 ? "-" :
	    buf_cstr(&text)));
	buf_fini(&text);
}

static void
draw_variant_name(const struct area *a, int y, int x, int w,
    const json_t *variant)
{
	enum role role = ROLE_HEAD;

	if (row_is_true(variant, "active")) {
		area_glyph(a, y, x - 2, ROLE_GOOD, GLYPH_ACTIVE);
		role = ROLE_STRONG;
	}
	area_fit(a, y, x, w, role, false, row_slice(variant, "name"));
}

/* Lines that no variant has something for are left out. */
static bool
is_wanted(size_t i, const json_t *const *variants, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (lines[i].kind == LINE_PROGRESS) {
			if (is_compressing(variants[k]))
				return true;
		} else if (lines[i].form != FORM_TEXT ||
		    row_slice(variants[k], lines[i].field).n > 0) {
			return true;
		}
	}
	return false;
}

static void
draw_variants(const struct area *a, const json_t *model,
    const json_t *const *variants, size_t n)
{
	int w = MEM_MIN((a->w - LABEL_W) / (int)n, VARIANT_W_MAX), y = 0;

	for (size_t k = 0; k < n; k++)
		draw_variant_name(a, 0, LABEL_W + (int)k * w, w - 1,
		    variants[k]);
	for (size_t i = 0; i < N_ELEMENTS(lines) && y + 1 < a->h; i++) {
		if (!is_wanted(i, variants, n))
			continue;
		y++;
		area_puts(a, y, 0, ROLE_LABEL, lines[i].label);
		for (size_t k = 0; k < n; k++)
			draw_value(a, y, LABEL_W + (int)k * w, w - 1, i,
			    variants[k], model);
	}
}

static void
draw_panel(const struct area *a, const struct store *s, const json_t *model)
{
	struct area below = area_sub(a, 1, 1, a->h - 1, a->w - 2);
	size_t n_all, n, room = (size_t)MEM_MAX((below.w - LABEL_W) /
	    VARIANT_W, 1);
	const json_t *variants[VARIANTS_MAX];
	char name[128], title[256];

	n_all = variants_of(s, model, variants);
	n = MEM_MIN(MEM_MIN(n_all, (size_t)VARIANTS_MAX), room);
	str_copy(name, row_text(model, "name"), sizeof(name));
	if (n < n_all)
		snprintf(title, sizeof(title), "%zu of %zu variants of %s, "
		    "Enter: all", n, n_all, name);
	else
		snprintf(title, sizeof(title), "Variants of %s", name);
	area_rule(a, 0, ROLE_RULE, title);
	if (n == 0)
		area_puts(&below, 0, 0, ROLE_DIM, "none is known yet");
	else
		draw_variants(&below, model, variants, n);
}

static void
draw(struct view *v, const struct store *s, const struct area *a,
    int64_t now_unix_ms)
{
	int most = MEM_MAX(a->h / 3, 3);
	int h = MEM_MIN((int)v->list->n_rows + 1, most);
	struct area top, below;

	h = MEM_MAX(h, 2);
	top = area_sub(a, 0, 0, h, a->w);
	below = area_sub(a, h, 0, a->h - h, a->w);
	list_draw(v->list, &top, v->list->n_all > 0 ?
	    "no model passes the filter" : "no model is loaded: L loads one");
	if (v->list->n_rows > 0)
		draw_panel(&below, s, list_selected(v->list));
}

static void
detail(struct view *v, const struct store *s, const json_t *row,
    struct buf *out)
{
	const char *name = row_text(row, "name");
	json_t *variant;
	size_t i;

	part_record(row, out);
	json_array_foreach(store_list(s, "variants"), i, variant) {
		if (strcmp(row_text(variant, "model"), name) != 0)
			continue;
		buf_puts(out, "\nVariant ");
		part_flat(out, row_slice(variant, "name"));
		buf_put_u8(out, '\n');
		part_record(variant, out);
	}
}

const struct view_ops view_models = {
	.title = "Models", .context = ON_MODELS, .init = init, .fini = fini,
	.update = update, .draw = draw, .detail = detail,
};
