/* SPDX-License-Identifier: MIT */
/* Configuration: the typed table, its file form, its message form, and the
 * small parsers beside it. */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "master/addr.h"
#include "master/conf_parse.h"
#include "master/conf_strip.h"
#include "wire/model_file.h"
#include "wire/conf.h"

static int
parse(const char *text, struct conf *c, struct cause *why)
{
	conf_init(c);
	return conf_parse("test.conf", "/dir", text, strlen(text), c, why);
}

/* ---- the table ---- */

static void
defaults_fit_the_table(void **state)
{
	struct conf c;
	struct conf_model *m;

	conf_init(&c);
	assert_string_equal(c.listen_http, "127.0.0.1:8642");
	assert_int_equal(c.limits_line_bytes, 8 << 20);
	assert_true(c.log_retention == UINT64_C(30) * 86400000);
	assert_int_equal(c.worker_backoff_min, 100);
	m = conf_add_model(&c, "a");
	assert_string_equal(m->name, "a");
	assert_string_equal(m->path, "");
	assert_int_equal(m->workers, 1);
	assert_ptr_equal(conf_find_model(&c, "a"), m);
	assert_null(conf_find_model(&c, "b"));
	conf_fini(&c);
}

/* Each key: its default as text gives the default again; what is beyond its
 * limits is refused and changes nothing. */
static void
every_key_reads_what_it_writes(void **state)
{
	struct conf c;

	conf_init(&c);
	conf_add_model(&c, "m");
	conf_add_tenant(&c, "t");
	for (size_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		void *base = k->kind == CONF_ONE ? (void *)&c :
		    k->kind == CONF_MODEL ? (void *)c.models :
		    (void *)c.tenants;
		struct buf before, after;
		struct cause why;

		buf_init(&before, 4096);
		buf_init(&after, 4096);
		conf_get_text(base, k, &before);
		assert_int_equal(conf_set(base, k, buf_cstr(&before), &why),
		    0);
		conf_get_text(base, k, &after);
		assert_string_equal(buf_cstr(&before), buf_cstr(&after));
		/* Quantities may come back in another unit. */
		if (k->type != CONF_MS && k->type != CONF_BYTES)
			assert_string_equal(buf_cstr(&before), k->def);
		if (k->type == CONF_STR)
			goto next;
		assert_int_equal(conf_set(base, k, "*", &why), BM_ECONF);
		assert_non_null(strstr(why.text, k->key));
		if (k->max > 0 && k->type != CONF_WORD)
			assert_int_equal(conf_set(base, k,
			    "18446744073709551", &why), BM_ECONF);
		buf_clear(&after);
		conf_get_text(base, k, &after);
		assert_string_equal(buf_cstr(&before), buf_cstr(&after));
next:
		buf_fini(&before);
		buf_fini(&after);
	}
	conf_fini(&c);
}

static void
message_round_trip(void **state)
{
	struct conf a, b;
	struct buf first, second;
	struct cause why;

	assert_int_equal(parse("limits { queue = 7 } listen { http = off }\n"
	    "model x { path = /m.gguf context = 100 kv_cache = 3M }\n"
	    "model y { path = n.gguf }\n"
	    "tenant z { key = \"a b\" max_running = 3 }", &a, &why), 0);
	buf_init(&first, 1 << 20);
	buf_init(&second, 1 << 20);
	conf_put(&first, &a);
	assert_false(first.failed);
	assert_int_equal(conf_get(cur_of(first.data, first.len), &b, &why), 0);
	assert_int_equal(b.limits_queue, 7);
	assert_int_equal(b.n_models, 2);
	assert_int_equal(b.models[0].kv_cache, 3 << 20);
	assert_string_equal(b.models[1].path, "/dir/n.gguf");
	assert_string_equal(b.tenants[0].key, "a b");
	conf_put(&second, &b);
	assert_int_equal(first.len, second.len);
	assert_memory_equal(first.data, second.data, first.len);
	conf_fini(&b);
	/* Cut anywhere: refused, or a shorter list of whole sections. */
	for (size_t n = 0; n < first.len; n++)
		if (conf_get(cur_of(first.data, n), &b, &why) == 0)
			conf_fini(&b);
	conf_fini(&a);
	buf_fini(&first);
	buf_fini(&second);
}

static void
message_of_a_newer_version(void **state)
{
	struct conf c;
	struct buf b;
	struct cause why;

	buf_init(&b, 4096);
	buf_put_slice(&b, slice_of("/state"));
	buf_put_u8(&b, CONF_ONE);
	buf_put_slice(&b, slice_of(""));
	buf_put_slice(&b, slice_of("limits"));
	buf_put_slice(&b, slice_of("no_such_key_yet"));
	buf_put_slice(&b, slice_of("1"));
	buf_put_slice(&b, slice_of("limits"));
	buf_put_slice(&b, slice_of("queue"));
	buf_put_slice(&b, slice_of("9"));
	buf_put_slice(&b, slice_of(""));
	assert_int_equal(conf_get(cur_of(b.data, b.len), &c, &why), 0);
	assert_int_equal(c.limits_queue, 9);
	assert_int_equal(c.limits_retries, 100);
	assert_string_equal(c.state_dir, "/state");
	conf_fini(&c);
	buf_fini(&b);
}

static void
a_copied_model_stands_for_itself(void **state)
{
	struct conf c;
	struct conf_model copy;

	conf_init(&c);
	conf_model_copy(&copy, conf_add_model(&c, "a"));
	assert_ptr_not_equal(copy.path, c.models[0].path);
	conf_fini(&c);
	assert_string_equal(copy.name, "a");
	assert_int_equal(copy.parallel, 16);
	conf_model_fini(&copy);
}

/* ---- the file ---- */

static void
the_file_sets_values(void **state)
{
	struct conf c;
	struct cause why;

	assert_int_equal(parse("", &c, &why), 0);
	conf_fini(&c);
	assert_int_equal(parse("# nothing but this", &c, &why), 0);
	conf_fini(&c);
	assert_int_equal(parse(
	    "// a comment\n"
	    "listen { http = \"[::1]:80\" line = 0.0.0.0:99 "
	    "socket_mode = 0660 }\n"
	    "/* and # one more */ log { level = warn keep='hash' "
	    "retention = 7d }\n"
	    "limits { line_bytes = 64k request_timeout = 90 }\n"
	    "model tale-1.5:q8_0 { path = sub/t.gguf workers = 2 }\n",
	    &c, &why), 0);
	assert_string_equal(c.listen_http, "[::1]:80");
	assert_string_equal(c.listen_socket_mode, "0660");
	assert_string_equal(c.log_keep, "hash");
	assert_int_equal(c.log_retention, 7 * 86400000);
	assert_int_equal(c.limits_line_bytes, 65536);
	assert_int_equal(c.limits_request_timeout, 90000);
	assert_string_equal(c.models[0].name, "tale-1.5:q8_0");
	assert_string_equal(c.models[0].path, "/dir/sub/t.gguf");
	assert_int_equal(c.models[0].workers, 2);
	conf_fini(&c);
}

/* Text, the line of its fault, a word of the message. */
static const struct {
	const char	*text;
	int		 line;
	const char	*word;
} broken[] = {
	{ "foo", 1, "foo" },
	{ "foo = 1", 1, "foo" },
	{ "# c\n# d\n\nlog { level = loud }", 4, "loud" },
	{ "/*\n\n*/ autoscaler { }", 3, "autoscaler" },
	{ "limits {\n queue = 1\n quee = 2\n}", 3, "quee" },
	{ "limits { queue = -1 }", 1, "queue" },
	{ "limits { queue = 1e3 }", 1, "queue" },
	{ "limits { queue = 99999999999 }", 1, "at most" },
	{ "limits { queue = 99999999999999999999999999 }", 1, "queue" },
	{ "limits {\n line_bytes = 1 }", 2, "at least 1k" },
	{ "limits { stall = 5y }", 1, "stall" },
	{ "limits { queue = 1\nqueue = 1 }", 2, "twice" },
	{ "limits { queue = 1 }\nlimits { queue = 1 }", 2, "twice" },
	{ "limits { queue = }", 1, "" },
	{ "limits { queue", 1, "closed" },
	{ "\nlimits { queue = 1\n", 2, "closed" },
	{ "log { file = \"x\n\n", 1, "string" },
	{ "\n/* x\n", 2, "comment" },
	{ "}", 1, "" },
	{ "{", 1, "closed" },
	{ "limits limits { }", 1, "" },
	{ "model { path = x }", 1, "title" },
	{ "model a { path = x }\nmodel a { path = y }", 2, "a" },
	{ "model a { }", 1, "no path" },
	{ "model a {\n\n}\nmodel b { path = x }", 3, "no path" },
	{ "model a/b { path = x }", 1, "name" },
	{ "model \"\" { path = x }", 1, "name" },
	{ "model a { path = x workers = 2000 }", 1, "workers" },
	{ "model a { path = x model b { path = y } }", 1, "model" },
	{ "tenant t { }", 1, "no key" },
	{ "tenant t { key = \"\" }", 1, "key" },
	{ "listen { http = nonsense }", 1, "http" },
	{ "listen { http = 127.0.0.1:99999 }", 1, "port" },
	{ "listen { http = example.org:80 }", 1, "numeric" },
	{ "listen { socket_mode = 0888 }", 1, "octal" },
	{ "listen { socket_mode = 07777 }", 1, "octal" },
	{ "log { keep = everything }", 1, "full|hash|none" },
	{ "log { level += info }", 1, "" },
	{ "log { level = { info } }", 1, "" },
};

static void
a_fault_is_named_with_its_line(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(broken); i++) {
		struct conf c;
		struct cause why;
		char where[32];

		if (parse(broken[i].text, &c, &why) != BM_ECONF)
			fail_msg("accepted: %s", broken[i].text);
		snprintf(where, sizeof(where), "test.conf:%d: ",
		    broken[i].line);
		if (strncmp(why.text, where, strlen(where)) != 0 ||
		    strstr(why.text, broken[i].word) == NULL)
			fail_msg("%s: \"%s\" lacks %s or \"%s\"",
			    broken[i].text, why.text, where, broken[i].word);
		conf_fini(&c);
	}
}

static void
no_text_at_all(void **state)
{
	struct conf c;
	struct cause why;

	conf_init(&c);
	assert_int_equal(conf_parse("f", "/", "log {\0}", 7, &c, &why),
	    BM_ECONF);
	assert_int_equal(conf_parse_file("/nonexistent/file", &c, &why),
	    BM_ECONF);
	assert_non_null(strstr(why.text, "/nonexistent/file"));
	conf_fini(&c);
}

static void
strip_leaves_what_is_no_comment(void **state)
{
	static const struct { const char *in, *out; } t[] = {
		{ "a # b\nc", "a    \nc" },
		{ "a#b\nc", "a  \nc" },
		{ "a//b", "a//b" },
		{ " //b", "    " },
		/* Within a word no comment begins. */
		{ "x/*b*/c", "x/*b*/c" },
		{ "\"#\" '//' \"\\\"#\"", "\"#\" '//' \"\\\"#\"" },
		{ "${a#b} /**/", "${a#b}     " },
		{ "/* \n* /\n*/x", "   \n   \n  x" },
	};
	struct cause why;
	int line;

	for (size_t i = 0; i < N_ELEMENTS(t); i++) {
		char *text = xstrdup(t[i].in);

		assert_int_equal(conf_strip(text, strlen(text), &line, &why),
		    0);
		assert_string_equal(text, t[i].out);
		free(text);
	}
}

/* ---- addresses, names, files ---- */

static void
addresses(void **state)
{
	static const struct { const char *in, *out; } good[] = {
		{ "127.0.0.1:8642", "127.0.0.1:8642" },
		{ "localhost:0", "127.0.0.1:0" },
		{ "*:80", "0.0.0.0:80" },
		{ "[::1]:65535", "[::1]:65535" },
		{ "[0:0::0]:1", "[::]:1" },
	};
	static const char *const bad[] = { "", ":80", "1.2.3.4", "1.2.3.4:",
	    "1.2.3.4:-1", "1.2.3.4:65536", "1.2.3:80", "::1:80", "[::1]80",
	    "[::1:80", "[]:80", "host:80", "1.2.3.4:80 ", "1.2.3.4 :80",
	    ("11111111111111111111111111111111111111111111111111111111111111"
	    "1111111111111:80") };
	struct addr a;
	struct cause why;
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		assert_int_equal(addr_parse(good[i].in, &a, &why), 0);
		addr_print(&a, text);
		assert_string_equal(text, good[i].out);
	}
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(addr_parse(bad[i], &a, &why), BM_ECONF);
	assert_true(addr_is_off("") && addr_is_off("off"));
	assert_false(addr_is_off("127.0.0.1:1"));
}

static void
names(void **state)
{
	char name[66];

	assert_true(conf_name_is_valid("tale-3.7m:q8_0"));
	assert_false(conf_name_is_valid(""));
	assert_false(conf_name_is_valid("a b"));
	assert_false(conf_name_is_valid("a/b"));
	assert_false(conf_name_is_valid("na\xc3\xafve"));
	memset(name, 'x', sizeof(name));
	name[64] = '\0';
	assert_true(conf_name_is_valid(name));
	name[64] = 'x';
	name[65] = '\0';
	assert_false(conf_name_is_valid(name));
}

static void
write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	fputs(text, f);
	fclose(f);
}

static void
model_files(void **state)
{
	static const char *const files[] = { "one.gguf", "text.gguf",
	    "s-00001-of-00002.gguf", "s-00002-of-00002.gguf" };
	char dir[] = "/tmp/bm-test-conf-XXXXXX", path[256];
	struct model_file f;
	struct cause why;

	assert_non_null(mkdtemp(dir));
	write_file(dir, files[0], "GGUF....");
	write_file(dir, files[1], "GGU");
	write_file(dir, files[2], "GGUF1");
	snprintf(path, sizeof(path), "%s/one.gguf", dir);
	assert_int_equal(model_file_open(path, &f, &why), 0);
	assert_int_equal(f.n_parts, 1);
	assert_string_equal(f.parts[0].name, "one.gguf");
	assert_true(fcntl(f.parts[0].fd, F_GETFD) & FD_CLOEXEC);
	model_file_close(&f);
	snprintf(path, sizeof(path), "%s/text.gguf", dir);
	assert_int_equal(model_file_open(path, &f, &why), BM_EFORMAT);
	assert_int_equal(model_file_open(dir, &f, &why), BM_EFORMAT);
	/* A split: all parts or none, and by the name of the first. */
	snprintf(path, sizeof(path), "%s/s-00001-of-00002.gguf", dir);
	assert_int_equal(model_file_open(path, &f, &why), BM_ENOTFOUND);
	assert_non_null(strstr(why.text, "s-00002-of-00002.gguf"));
	write_file(dir, files[3], "GGUF2");
	assert_int_equal(model_file_open(path, &f, &why), 0);
	assert_int_equal(f.n_parts, 2);
	assert_string_equal(f.parts[1].name, "s-00002-of-00002.gguf");
	model_file_close(&f);
	snprintf(path, sizeof(path), "%s/s-00002-of-00002.gguf", dir);
	assert_int_equal(model_file_open(path, &f, &why), BM_EBADREQ);
	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_fit_the_table),
		cmocka_unit_test(every_key_reads_what_it_writes),
		cmocka_unit_test(message_round_trip),
		cmocka_unit_test(message_of_a_newer_version),
		cmocka_unit_test(a_copied_model_stands_for_itself),
		cmocka_unit_test(the_file_sets_values),
		cmocka_unit_test(a_fault_is_named_with_its_line),
		cmocka_unit_test(no_text_at_all),
		cmocka_unit_test(strip_leaves_what_is_no_comment),
		cmocka_unit_test(addresses),
		cmocka_unit_test(names),
		cmocka_unit_test(model_files),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
