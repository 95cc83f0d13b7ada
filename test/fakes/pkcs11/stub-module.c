/*
 * A PKCS#11 module that is SoftHSM until told to misbehave.
 *
 * Beside the shared object lie two files: NAME.so.behaviour, read at each load, and NAME.so.logins, to which every
 * C_Login adds one character. Lines of the behaviour file: `init|slots|login|sign ACTION` with an ACTION of the table
 * below; `module PATH` names the module behind; `flags HEX` is or-ed to the token's flags; `sessions MAX OPEN` replaces the
 * token's session counts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef CK_RV (*any_function)();
struct function_list { unsigned char version[2]; any_function entries[68]; };
struct token_info {
  unsigned char label[32], manufacturer[32], model[16], serial[16];
  CK_ULONG flags, max_sessions, sessions;
};

/* Places in CK_FUNCTION_LIST, PKCS#11 2.40. */
enum { INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, LOGIN = 18, SIGN = 43 };
static const CK_RV CKR_DEVICE_ERROR = 0x30;

static struct function_list *real, changed;
static char log_path[4096];
static CK_ULONG extra_flags, max_sessions, open_sessions;
static int has_sessions;
static any_function login_action;

static CK_RV hang(void) { for (;;) pause(); }
static CK_RV spin(void) { for (volatile unsigned long i = 0;; i++); }
static CK_RV crash(void) { *(volatile int *)0 = 1; return 0; }
static CK_RV quit(void) { exit(0); }
static CK_RV fail(void) { return CKR_DEVICE_ERROR; }
static CK_RV block(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  return hang();
}
static CK_RV fork_and_hang(void) { fork(); return hang(); }
/* A child that keeps stdout open after its parent has ended. */
static CK_RV fork_and_quit(void) { if (fork() == 0) hang(); exit(0); }
static CK_RV noisy(void) {
  printf("{\"kind\":\"answer\",\"status\":200}\nvendor: no line end");
  fflush(stdout);
  return CKR_DEVICE_ERROR;
}
static CK_RV flood(void) {
  static char text[65536];
  memset(text, 'x', sizeof text);
  for (;;) if (write(1, text, sizeof text) < 0) return CKR_DEVICE_ERROR;
}

static const struct { const char *name; any_function action; } ACTIONS[] = {
  {"hang", hang}, {"spin", spin}, {"crash", crash}, {"quit", quit}, {"fail", fail}, {"block", block},
  {"fork", fork_and_hang}, {"forkquit", fork_and_quit}, {"noisy", noisy}, {"flood", flood},
};

/* "after-ACTION" lets the token hear the PIN first. */
static int act_after_login;

static CK_RV login(CK_ULONG session, CK_ULONG user, unsigned char *pin, CK_ULONG length) {
  int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (log >= 0) { if (write(log, "L", 1) < 0) abort(); close(log); }
  if (login_action && !act_after_login) return login_action();
  CK_RV value = real->entries[LOGIN](session, user, pin, length);
  return login_action ? login_action() : value;
}

static CK_RV get_token_info(CK_ULONG slot, struct token_info *info) {
  CK_RV value = real->entries[GET_TOKEN_INFO](slot, info);
  info->flags |= extra_flags;
  if (has_sessions) { info->max_sessions = max_sessions; info->sessions = open_sessions; }
  return value;
}

static any_function action_named(const char *name) {
  for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++)
    if (strcmp(ACTIONS[i].name, name) == 0) return ACTIONS[i].action;
  abort();
}

CK_RV C_GetFunctionList(struct function_list **list) {
  Dl_info self;
  char path[4096], word[64], value[4000], module[4000] = "/usr/lib/softhsm/libsofthsm2.so";
  char wanted[4][64] = {"", "", "", ""};
  static const char *const NAMES[] = {"init", "slots", "login", "sign"};
  static const int PLACES[] = {INITIALIZE, GET_SLOT_LIST, LOGIN, SIGN};
  if (!dladdr((void *)C_GetFunctionList, &self)) return CKR_DEVICE_ERROR;
  snprintf(log_path, sizeof log_path, "%s.logins", self.dli_fname);
  snprintf(path, sizeof path, "%s.behaviour", self.dli_fname);
  FILE *file = fopen(path, "r");
  while (file && fscanf(file, "%63s %3999s", word, value) == 2) {
    if (strcmp(word, "module") == 0) strcpy(module, value);
    else if (strcmp(word, "flags") == 0) extra_flags = strtoul(value, NULL, 16);
    else if (strcmp(word, "sessions") == 0) {
      has_sessions = 1;
      max_sessions = strtoul(value, NULL, 10);
      if (fscanf(file, "%lu", &open_sessions) != 1) abort();
    } else for (int i = 0; i < 4; i++) if (strcmp(word, NAMES[i]) == 0) snprintf(wanted[i], 64, "%s", value);
  }
  if (file) fclose(file);
  void *library = dlopen(module, RTLD_NOW);
  CK_RV (*get)(struct function_list **) = library ? dlsym(library, "C_GetFunctionList") : NULL;
  if (!get || get(&real) != 0) return CKR_DEVICE_ERROR;
  changed = *real;
  for (int i = 0; i < 4; i++)
    if (*wanted[i]) {
      act_after_login = strncmp(wanted[i], "after-", 6) == 0;
      changed.entries[PLACES[i]] = action_named(wanted[i] + (act_after_login ? 6 : 0));
    }
  login_action = changed.entries[LOGIN] == real->entries[LOGIN] ? NULL : changed.entries[LOGIN];
  changed.entries[LOGIN] = (any_function)login;
  changed.entries[GET_TOKEN_INFO] = (any_function)get_token_info;
  *list = &changed;
  return 0;
}
