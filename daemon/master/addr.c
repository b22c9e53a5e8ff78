/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "master/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* host is writable and holds the text before the last colon. */
static int
set_host(struct addr *a, char *host, uint16_t port)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)&a->ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a->ss;
	size_t n = strlen(host);

	memset(a, 0, sizeof(*a));
	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		a->len = sizeof(*in6);
		return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
	}
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	a->len = sizeof(*in4);
	if (strcmp(host, "*") == 0)
		in4->sin_addr.s_addr = htonl(INADDR_ANY);
	else if (strcmp(host, "localhost") == 0)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		return inet_pton(AF_INET, host, &in4->sin_addr) == 1;
	return 1;
}

int
addr_parse(const char *text, struct addr *out, struct cause *cause)
{
	const char *colon = strrchr(text, ':');
	char host[ADDR_TEXT_SIZE], shown[ADDR_TEXT_SIZE];
	struct addr a;
	int port;

	str_vis(shown, sizeof(shown), text, strlen(text));
	if (colon == NULL || colon == text ||
	    (size_t)(colon - text) >= sizeof(host))
		return cause_set(cause, BM_ECONF,
		    "\"%s\" is not ADDRESS:PORT", shown);
	if (str_to_int(colon + 1, 0, 65535, &port) != 0)
		return cause_set(cause, BM_ECONF,
		    "\"%s\": the port is not a number from 0 to 65535",
		    shown);
	str_copy(host, text, (size_t)(colon - text) + 1);
	if (!set_host(&a, host, (uint16_t)port))
		return cause_set(cause, BM_ECONF,
		    "\"%s\": the address is not numeric (an IPv6 address "
		    "stands in brackets)", shown);
	*out = a;
	return 0;
}

void
addr_print(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
	const struct sockaddr_in *in4 = (const void *)&a->ss;
	const struct sockaddr_in6 *in6 = (const void *)&a->ss;
	char host[INET6_ADDRSTRLEN];

	if (a->ss.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, ADDR_TEXT_SIZE, "[%s]:%u", host,
		    ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
		snprintf(out, ADDR_TEXT_SIZE, "%s:%u", host,
		    ntohs(in4->sin_port));
	}
}

int
addr_is_off(const char *text)
{
	return text[0] == '\0' || strcmp(text, "off") == 0;
}
