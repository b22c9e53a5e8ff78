/* SPDX-License-Identifier: MIT */
/*
 * Chat prompts in fixed forms.  A form is one row: the text before and after a
 * turn of each role, and where the system message goes.  Rows are tried in
 * order, so a form with more particular marks stands before the one it
 * resembles; the last row, ChatML, fits everything.
 */
#include "config.h"

#include "model/chat.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define N_MARKS 3

enum place {
	PLACE_TURN,		/* the system message is a turn like others */
	PLACE_FRONT,		/* the last one stands before all turns */
	PLACE_FIRST_USER,	/* inside the first user turn */
	PLACE_LAST_USER,	/* inside the last turn, if that is a user's */
	PLACE_NOWHERE,		/* the form drops it */
	PLACE_REFUSED,
};

struct wrap {
	const char	*before;	/* NULL: such turns are dropped */
	const char	*after;
};

struct chat_form {
	const char	*name;
	const char	*marks[N_MARKS];	/* all are in the template */
	const char	*absent;		/* and this is not */
	enum place	 place;
	struct wrap	 system;
	struct wrap	 user;
	struct wrap	 assistant;
	/* Other roles: other.before, the role's name, other_middle, ... */
	struct wrap	 other;
	const char	*other_middle;
	const char	*generation;	/* opens the assistant's turn */
	const char	*end;		/* stands there instead without it */
	const char	*preset;	/* system message when there is none */
	bool		 alternates;	/* else refused: user, assistant... */
	bool		 two_roles;	/* other roles are refused */
	bool		 trims;		/* white space round contents */
	bool		 trims_joined;	/* round system message and content */
	bool		 skips_empty_system;
	bool		 drops_thoughts; /* of assistant turns */
	bool		 drops_bos;	/* the first turn's; see chat_render */
	bool		 needs_messages;
};

#define LLAMA3(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define LLAMA3_DATES "Cutting Knowledge Date: December 2023\n" \
	"Today Date: 26 Jul 2024\n\n"
#define DEEPSEEK_USER "<\xef\xbd\x9cUser\xef\xbd\x9c>"
#define DEEPSEEK_ASSISTANT "<\xef\xbd\x9c" "Assistant\xef\xbd\x9c>"
#define DEEPSEEK_END "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81" \
	"sentence\xef\xbd\x9c>"

static const struct chat_form forms[] = {
	/* Found by its whole text; see is_plain. */
	{ .name = "plain", .system = { "", "" }, .user = { "", "" },
	  .assistant = { "", "" }, .other = { "", "" } },
	{ .name = "qwen2", .marks = { "<|im_start|>",
	    "You are Qwen, created by Alibaba Cloud" },
	  .preset = "You are Qwen, created by Alibaba Cloud. You are a "
	    "helpful assistant.", .needs_messages = true,
	  .system = { "<|im_start|>system\n", "<|im_end|>\n" },
	  .user = { "<|im_start|>user\n", "<|im_end|>\n" },
	  .assistant = { "<|im_start|>assistant\n", "<|im_end|>\n" },
	  .generation = "<|im_start|>assistant\n" },
	{ .name = "qwen3", .marks = { "<|im_start|>", "reasoning_content",
	    "<think>" }, .needs_messages = true,
	  .system = { "<|im_start|>system\n", "<|im_end|>\n" },
	  .user = { "<|im_start|>user\n", "<|im_end|>\n" },
	  .assistant = { "<|im_start|>assistant\n", "<|im_end|>\n" },
	  .generation = "<|im_start|>assistant\n" },
	{ .name = "phi4", .marks = { "<|im_start|>", "<|im_sep|>" },
	  .system = { "<|im_start|>system<|im_sep|>", "<|im_end|>" },
	  .user = { "<|im_start|>user<|im_sep|>",
	    "<|im_end|><|im_start|>assistant<|im_sep|>" },
	  .assistant = { "", "<|im_end|>" } },
	{ .name = "llama2", .marks = { "[INST]", "<<SYS>>" },
	  .place = PLACE_FIRST_USER, .alternates = true, .trims = true,
	  .trims_joined = true, .drops_bos = true, .needs_messages = true,
	  .system = { "<<SYS>>\n", "\n<</SYS>>\n\n" },
	  .user = { "<s>[INST] ", " [/INST]" },
	  .assistant = { " ", " </s>" } },
	{ .name = "mistral-v7", .marks = { "[INST]", "[SYSTEM_PROMPT]" },
	  .two_roles = true, .alternates = true, .needs_messages = true,
	  .system = { "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]" },
	  .user = { "[INST]", "[/INST]" }, .assistant = { "", "</s>" } },
	{ .name = "mistral-v3", .marks = { "[INST]", "[AVAILABLE_TOOLS]" },
	  .absent = "' [INST] '", .place = PLACE_LAST_USER,
	  .alternates = true, .two_roles = true, .needs_messages = true,
	  .system = { "", "\n\n" }, .user = { "[INST]", "[/INST]" },
	  .assistant = { "", "</s>" } },
	{ .name = "mistral", .marks = { "[INST]" },
	  .place = PLACE_FIRST_USER, .alternates = true, .two_roles = true,
	  .needs_messages = true, .system = { "", "\n\n" },
	  .user = { " [INST] ", " [/INST]" }, .assistant = { " ", "</s>" } },
	{ .name = "llama3.1", .marks = { "<|start_header_id|>",
	    "Cutting Knowledge Date" }, .trims = true, .preset = "",
	  .needs_messages = true,
	  .system = { LLAMA3("system") LLAMA3_DATES, "<|eot_id|>" },
	  .user = { LLAMA3("user"), "<|eot_id|>" },
	  .assistant = { LLAMA3("assistant"), "<|eot_id|>" },
	  .other = { "<|start_header_id|>", "<|eot_id|>" },
	  .other_middle = "<|end_header_id|>\n\n",
	  .generation = LLAMA3("assistant") },
	{ .name = "llama3", .marks = { "<|start_header_id|>" }, .trims = true,
	  .alternates = true, .needs_messages = true,
	  .system = { LLAMA3("system"), "<|eot_id|>" },
	  .user = { LLAMA3("user"), "<|eot_id|>" },
	  .assistant = { LLAMA3("assistant"), "<|eot_id|>" },
	  .other = { "<|start_header_id|>", "<|eot_id|>" },
	  .other_middle = "<|end_header_id|>\n\n",
	  .generation = LLAMA3("assistant") },
	{ .name = "gemma", .marks = { "<start_of_turn>",
	    "System role not supported" },
	  .place = PLACE_REFUSED, .alternates = true, .trims = true,
	  .needs_messages = true,
	  .user = { "<start_of_turn>user\n", "<end_of_turn>\n" },
	  .assistant = { "<start_of_turn>model\n", "<end_of_turn>\n" },
	  .other = { "<start_of_turn>", "<end_of_turn>\n" },
	  .other_middle = "\n", .generation = "<start_of_turn>model\n" },
	{ .name = "gemma3", .marks = { "<start_of_turn>" },
	  .place = PLACE_FIRST_USER, .alternates = true, .trims = true,
	  .needs_messages = true, .system = { "", "\n\n" },
	  .user = { "<start_of_turn>user\n", "<end_of_turn>\n" },
	  .assistant = { "<start_of_turn>model\n", "<end_of_turn>\n" },
	  .other = { "<start_of_turn>", "<end_of_turn>\n" },
	  .other_middle = "\n", .generation = "<start_of_turn>model\n" },
	{ .name = "granite", .marks = { "<|start_of_role|>" },
	  .system = { "<|start_of_role|>system<|end_of_role|>",
	    "<|end_of_text|>\n" },
	  .user = { "<|start_of_role|>user<|end_of_role|>",
	    "<|end_of_text|>\n" },
	  .assistant = { "<|start_of_role|>assistant<|end_of_role|>",
	    "<|end_of_text|>\n" },
	  .other = { "<|start_of_role|>", "<|end_of_text|>\n" },
	  .other_middle = "<|end_of_role|>",
	  .generation = "<|start_of_role|>assistant<|end_of_role|>" },
	{ .name = "deepseek-v3.1", .marks = { DEEPSEEK_USER,
	    DEEPSEEK_ASSISTANT, "'</think>'" }, .absent = "<think>\\n",
	  .place = PLACE_FRONT, .system = { "", "" }, .drops_thoughts = true,
	  .user = { DEEPSEEK_USER, "" },
	  .assistant = { DEEPSEEK_ASSISTANT "<think></think>",
	    DEEPSEEK_END },
	  .generation = DEEPSEEK_ASSISTANT "<think></think>" },
	{ .name = "deepseek-r1", .marks = { DEEPSEEK_USER,
	    DEEPSEEK_ASSISTANT, "<think>" }, .place = PLACE_FRONT,
	  .system = { "", "" }, .drops_thoughts = true,
	  .user = { DEEPSEEK_USER, "" },
	  .assistant = { DEEPSEEK_ASSISTANT, DEEPSEEK_END },
	  .generation = DEEPSEEK_ASSISTANT "<think>\n</think>" },
	{ .name = "deepseek", .marks = { DEEPSEEK_USER, DEEPSEEK_ASSISTANT },
	  .place = PLACE_FRONT, .system = { "", "" },
	  .user = { DEEPSEEK_USER, "" },
	  .assistant = { DEEPSEEK_ASSISTANT, DEEPSEEK_END },
	  .generation = DEEPSEEK_ASSISTANT },
	{ .name = "phi3.5", .marks = { "<|user|>", "<|end|>", "<|system|>" },
	  .skips_empty_system = true,
	  .system = { "<|system|>\n", "<|end|>\n" },
	  .user = { "<|user|>\n", "<|end|>\n" },
	  .assistant = { "<|assistant|>\n", "<|end|>\n" },
	  .generation = "<|assistant|>\n", .end = "<|endoftext|>" },
	{ .name = "phi3", .marks = { "<|user|>", "<|end|>" },
	  .place = PLACE_NOWHERE,
	  .user = { "<|user|>\n", "<|end|>\n<|assistant|>\n" },
	  .assistant = { "", "<|end|>\n" } },
	{ .name = "zephyr", .marks = { "<|assistant|>", "eos_token" },
	  .alternates = true, .trims = true, .needs_messages = true,
	  .system = { "<|system|>\n", "</s>\n" },
	  .user = { "<|user|>\n", "</s>\n" },
	  .assistant = { "<|assistant|>\n", "</s>\n" },
	  .other = { "<|", "</s>\n" }, .other_middle = "|>\n",
	  .generation = "<|assistant|>\n" },
	{ .name = "vicuna", .marks = { "USER: ", "ASSISTANT: " },
	  .alternates = true, .trims = true, .needs_messages = true,
	  .system = { "", "\n\n" }, .user = { "USER: ", "\n" },
	  .assistant = { "ASSISTANT: ", "</s>\n" },
	  .generation = "ASSISTANT:" },
	{ .name = "chatml", .marks = { "<|im_start|>" },
	  .system = { "<|im_start|>system\n", "<|im_end|>\n" },
	  .user = { "<|im_start|>user\n", "<|im_end|>\n" },
	  .assistant = { "<|im_start|>assistant\n", "<|im_end|>\n" },
	  .other = { "<|im_start|>", "<|im_end|>\n" }, .other_middle = "\n",
	  .generation = "<|im_start|>assistant\n" },
};

#define FORM_CHATML	(&forms[N_ELEMENTS(forms) - 1])
#define FORM_PLAIN	(&forms[0])

static bool
contains(struct slice s, const char *what)
{
	return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

/* Nothing but the contents one after the other, however it is spaced. */
static bool
is_plain(struct slice s)
{
	static const char body[] =
	    "{%formessageinmessages%}{{message['content']}}{%endfor%}";
	size_t at = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] == '"' ? '\'' : s.p[i];

		if (c == ' ' || c == '\n' || c == '\r' || c == '\t' ||
		    c == '-')
			continue;
		if (at >= sizeof(body) - 1 || c != body[at])
			return false;
		at++;
	}
	return at == sizeof(body) - 1;
}

static bool
fits(const struct chat_form *f, struct slice s)
{
	if (f->marks[0] == NULL ||
	    (f->absent != NULL && contains(s, f->absent)))
		return false;
	for (size_t i = 0; i < N_MARKS && f->marks[i] != NULL; i++)
		if (!contains(s, f->marks[i]))
			return false;
	return true;
}

const struct chat_form *
chat_form_find(struct slice template_text)
{
	if (template_text.n == 0)
		return FORM_CHATML;
	if (is_plain(template_text))
		return FORM_PLAIN;
	for (size_t i = 0; i < N_ELEMENTS(forms); i++)
		if (fits(&forms[i], template_text))
			return &forms[i];
	return FORM_CHATML;
}

const char *
chat_form_name(const struct chat_form *f)
{
	return f->name;
}

static bool
is_white(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) ||
	    c == 0x85 || c == 0xa0 || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	    c == 0x202f || c == 0x205f || c == 0x3000;
}

/* White space of all Unicode, as the templates' own trim does it. */
static struct slice
trim(struct slice s)
{
	uint32_t c;
	size_t n, back;

	while ((n = utf8_decode(s.p, s.n, &c)) > 0 && is_white(c)) {
		s.p += n;
		s.n -= n;
	}
	while (s.n > 0) {
		for (back = 1; back < 4 && back < s.n &&
		    ((uint8_t)s.p[s.n - back] & 0xc0) == 0x80; back++)
			;
		if (utf8_decode(s.p + s.n - back, back, &c) != back ||
		    !is_white(c))
			break;
		s.n -= back;
	}
	return s;
}

static struct slice
content_of(const struct chat_form *f, const struct chat_message *m)
{
	static const char mark[] = "</think>";
	struct slice s = m->content;
	const char *at;

	if (f->drops_thoughts && slice_eq(m->role, "assistant"))
		while ((at = memmem(s.p, s.n, mark, sizeof(mark) - 1)) !=
		    NULL) {
			s.n -= (size_t)(at - s.p) + sizeof(mark) - 1;
			s.p = at + sizeof(mark) - 1;
		}
	return f->trims ? trim(s) : s;
}

static void
put(struct buf *out, const char *s)
{
	if (s != NULL)
		buf_puts(out, s);
}

static void
put_slice(struct buf *out, struct slice s)
{
	buf_put(out, s.p, s.n);
}

/* Trim what was put since start. */
static void
trim_from(struct buf *out, size_t start)
{
	struct slice s;

	if (out->failed || out->len == start)
		return;
	s = trim((struct slice){ (char *)out->data + start,
	    out->len - start });
	memmove(out->data + start, s.p, s.n);
	out->len = start + s.n;
}

/* A user turn with the system message inside. */
static void
put_user_with_system(const struct chat_form *f, const struct chat_message *m,
    struct slice system, struct buf *out)
{
	size_t start;

	put(out, f->user.before);
	start = out->len;
	put(out, f->system.before);
	put_slice(out, f->trims_joined ? trim(system) : system);
	put(out, f->system.after);
	if (f->trims_joined) {
		put_slice(out, m->content);
		trim_from(out, start);
	} else
		put_slice(out, content_of(f, m));
	put(out, f->user.after);
}

static int
put_turn(const struct chat_form *f, const struct chat_message *m,
    struct buf *out, struct cause *cause)
{
	struct slice s = content_of(f, m);
	const struct wrap *w = &f->other;
	char vis[48];

	if (slice_eq(m->role, "user"))
		w = &f->user;
	else if (slice_eq(m->role, "assistant"))
		w = &f->assistant;
	else if (slice_eq(m->role, "system") && f->place == PLACE_TURN &&
	    !f->alternates && f->other.before == NULL)
		w = &f->system;
	else if (f->two_roles)
		return cause_set(cause, BM_EBADREQ, "this model's chat "
		    "template does not know role '%s'",
		    str_vis(vis, sizeof(vis), m->role.p, m->role.n));
	if (w->before == NULL || (w == &f->system && f->skips_empty_system &&
	    s.n == 0))
		return 0;
	put(out, w->before);
	if (w == &f->other && f->other_middle != NULL) {
		put_slice(out, m->role);
		put(out, f->other_middle);
	}
	put_slice(out, s);
	put(out, w->after);
	return 0;
}

/* The leading system message, for the forms in which it is no plain turn. */
static int
put_system(const struct chat_form *f, const struct chat_message *m,
    struct buf *out, struct cause *cause)
{
	struct slice s = m != NULL ? m->content : slice_of(f->preset);

	if (f->place == PLACE_REFUSED && m != NULL)
		return cause_set(cause, BM_EBADREQ,
		    "this model's chat template takes no system message");
	if (f->place != PLACE_TURN || (m == NULL && f->preset == NULL))
		return 0;
	if (f->trims)
		s = trim(s);
	if (f->skips_empty_system && s.n == 0)
		return 0;
	put(out, f->system.before);
	put_slice(out, s);
	put(out, f->system.after);
	return 0;
}

static int
check_order(const struct chat_form *f, const struct chat_message *m, size_t n,
    struct cause *cause)
{
	for (size_t i = 0; f->alternates && i < n; i++)
		if (slice_eq(m[i].role, "user") != (i % 2 == 0))
			return cause_set(cause, BM_EBADREQ, "message %zu: "
			    "this model's chat template wants the roles user "
			    "and assistant in turn, after at most one system "
			    "message", i + 1);
	return 0;
}

/* All turns after a leading system message, which may be NULL. */
static int
put_turns(const struct chat_form *f, const struct chat_message *system,
    const struct chat_message *m, size_t n, struct buf *out,
    struct cause *cause)
{
	int rc;

	for (size_t i = 0; i < n; i++) {
		bool inside = system != NULL &&
		    slice_eq(m[i].role, "user") &&
		    ((f->place == PLACE_FIRST_USER && i == 0) ||
		    (f->place == PLACE_LAST_USER && i == n - 1));

		if (inside) {
			put_user_with_system(f, &m[i], system->content, out);
			continue;
		}
		if (f->place == PLACE_FRONT && slice_eq(m[i].role, "system"))
			continue;
		if ((rc = put_turn(f, &m[i], out, cause)) < 0)
			return rc;
	}
	return 0;
}

static void
put_front(const struct chat_form *f, const struct chat_message *m, size_t n,
    struct buf *out)
{
	for (size_t i = n; f->place == PLACE_FRONT && i > 0; i--)
		if (slice_eq(m[i - 1].role, "system")) {
			put(out, f->system.before);
			put_slice(out, m[i - 1].content);
			put(out, f->system.after);
			return;
		}
}

int
chat_render(const struct chat_form *f, const struct chat_message *m, size_t n,
    int add_generation_prompt, struct buf *out, struct cause *cause)
{
	static const char bos[] = "<s>";
	const struct chat_message *system = NULL;
	size_t start = out->len;
	int rc;

	if (n == 0 && f->needs_messages)
		return cause_set(cause, BM_EBADREQ, "there are no messages");
	put_front(f, m, n, out);
	if (n > 0 && slice_eq(m[0].role, "system") && f->place != PLACE_FRONT)
		system = m;
	if ((rc = put_system(f, system, out, cause)) < 0)
		return rc;
	if (system != NULL) {
		m++;
		n--;
	}
	if ((rc = check_order(f, m, n, cause)) < 0 ||
	    (rc = put_turns(f, system, m, n, out, cause)) < 0)
		return rc;
	put(out, add_generation_prompt ? f->generation : f->end);
	if (out->failed)
		return cause_set(cause, BM_ETOOLONG,
		    "the messages are too long together");
	/* A BOS before every turn: the first is the tokenizer's to add. */
	if (f->drops_bos && out->len - start >= sizeof(bos) - 1 &&
	    memcmp(out->data + start, bos, sizeof(bos) - 1) == 0) {
		memmove(out->data + start, out->data + start + sizeof(bos) - 1,
		    out->len - start - (sizeof(bos) - 1));
		out->len -= sizeof(bos) - 1;
	}
	return 0;
}
