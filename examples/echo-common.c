/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <locale.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "echo-common.h"

/* The highest soft limit to set, because some systems have no hard limit. */
#define ENOUGH_DESCRIPTORS 1048576

typedef struct
{
  const char *name;
  GType (*get_type) (void);
  gboolean (*is_supported) (void);
  SelBaseSelector *(*create) (GError **error);
} EchoBackend;

static const EchoBackend backends[] = {
  { "select", sel_select_selector_get_type, sel_select_selector_is_supported, sel_select_selector_new },
  { "poll", sel_poll_selector_get_type, sel_poll_selector_is_supported, sel_poll_selector_new },
  { "epoll", sel_epoll_selector_get_type, sel_epoll_selector_is_supported, sel_epoll_selector_new },
  { "devpoll", sel_devpoll_selector_get_type, sel_devpoll_selector_is_supported, sel_devpoll_selector_new },
  { "kqueue", sel_kqueue_selector_get_type, sel_kqueue_selector_is_supported, sel_kqueue_selector_new },
};

char *
echo_get_version (void)
{
  return g_strdup_printf ("%u.%u.%u", sel_get_major_version (), sel_get_minor_version (), sel_get_micro_version ());
}

/* Parses the options of an example, and --version. Ends the program if they are wrong. */
void
echo_parse_arguments (const char         *description,
                      const GOptionEntry *options,
                      int                *argc,
                      char             ***argv)
{
  gboolean version = FALSE;
  const GOptionEntry common[] = {
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version of the library", NULL },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (description);
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, common, NULL);
  if (options != NULL)
    g_option_context_add_main_entries (context, options, NULL);

  if (!g_option_context_parse (context, argc, argv, &error))
    {
      g_printerr ("%s: %s\n", g_get_prgname (), error->message);
      exit (2);
    }
  if (*argc > 1)
    {
      g_printerr ("%s: unexpected argument: %s (see --help)\n", g_get_prgname (), (*argv)[1]);
      exit (2);
    }
  if (version)
    {
      g_autofree char *text = echo_get_version ();

      g_print ("%s: sel-glib %s\n", g_get_prgname (), text);
      exit (0);
    }
}

static gboolean
echo_is_default (const char *backend)
{
  return backend == NULL || g_str_equal (backend, "default");
}

static const EchoBackend *
echo_find_backend (const char  *name,
                   GError     **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (backends); i++)
    if (g_str_equal (name, backends[i].name))
      return &backends[i];

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
               "no such backend: %s (there are default, select, poll, epoll, devpoll, kqueue)",
               name);
  return NULL;
}

/* Returns: TRUE if there is a backend of this name, also if the system does not support it; NULL is the default one */
gboolean
echo_check_backend (const char  *backend,
                    GError     **error)
{
  return echo_is_default (backend) || echo_find_backend (backend, error) != NULL;
}

SelBaseSelector *
echo_selector_new (const char  *backend,
                   GError     **error)
{
  const EchoBackend *found;

  if (echo_is_default (backend))
    return sel_default_selector_new (error);

  found = echo_find_backend (backend, error);

  return found != NULL ? found->create (error) : NULL;
}

/* Returns: (nullable): the name of the backend of @selector, as echo_selector_new() takes it */
const char *
echo_backend_name (SelBaseSelector *selector)
{
  for (gsize i = 0; i < G_N_ELEMENTS (backends); i++)
    if (g_type_is_a (G_OBJECT_TYPE (selector), backends[i].get_type ()))
      return backends[i].name;

  return NULL;
}

/* Returns: (transfer full): the names of the backends that this system supports; free with g_strfreev() */
char **
echo_list_backends (void)
{
  g_autoptr (GStrvBuilder) names = g_strv_builder_new ();

  for (gsize i = 0; i < G_N_ELEMENTS (backends); i++)
    if (backends[i].is_supported ())
      g_strv_builder_add (names, backends[i].name);

  return g_strv_builder_end (names);
}

void
echo_print_backends (void)
{
  g_auto (GStrv) names = echo_list_backends ();

  for (gsize i = 0; names[i] != NULL; i++)
    g_print ("%s\n", names[i]);
}

/* Raises the soft limit of descriptors as far as the hard limit allows. Returns: the new soft limit */
guint
echo_raise_descriptor_limit (void)
{
  struct rlimit limit;
  rlim_t before;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return 0;

  before = limit.rlim_cur;
  limit.rlim_cur = MAX (before, MIN (limit.rlim_max, ENOUGH_DESCRIPTORS));
  if (setrlimit (RLIMIT_NOFILE, &limit) < 0)
    limit.rlim_cur = before;

  return MIN (limit.rlim_cur, G_MAXUINT);
}

void
echo_explain_limit (const char *program,
                    guint       limit)
{
  g_printerr ("%s: this process may open %u descriptors only, and raised that as far as it may\n"
              "  To allow more: `ulimit -n 4096` as root before the start, `* hard nofile 4096`\n"
              "  in /etc/security/limits.conf, or LimitNOFILE=4096 in a systemd unit.\n",
              program, limit);
}
