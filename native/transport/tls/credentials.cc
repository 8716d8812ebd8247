#include "transport/tls/credentials.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "file_io.h"
#include "unique_fd.h"

namespace keyvol::tls {

namespace {

// A file of keys has to fit into secret memory.
constexpr size_t kMaxKeysBytes = 4096;
constexpr size_t kMinKeyBytes = 16;
constexpr unsigned char kSessionContext[] = {'k', 'e', 'y', 'v', 'o', 'l'};
// What TLS 1.3 takes of an external key whose hash is not said (RFC 8446 4.2.11).
constexpr unsigned char kAes128GcmSha256[] = {0x13, 0x01};

Status Invalid(const std::string& path, const std::string& reason) {
  return Status::Error(Code::kKeyFileInvalid, path + " " + reason);
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

Status OpenPrivate(const std::string& path, UniqueFd* fd, size_t* length_bytes) {
  *fd = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd->valid()) return Status::FromErrno(errno, "open " + path);
  struct stat attributes {};
  if (fstat(fd->get(), &attributes) != 0) return Status::FromErrno(errno, "stat " + path);
  if (attributes.st_uid != geteuid()) return Invalid(path, "belongs to another user");
  if ((attributes.st_mode & 077) != 0) {
    return Invalid(path, "can be accessed by group or others (its mode must be 0600)");
  }
  *length_bytes = static_cast<size_t>(attributes.st_size);
  return Status::Ok();
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace

Status Credentials::Load(const std::string& directory,
                         std::shared_ptr<const Credentials>* credentials) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return Status::Error(Code::kNoSpace, "no memory for TLS");
  std::shared_ptr<Credentials> loaded(new Credentials(context));
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // What clients send is wiped once it is passed on.
  SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
  // A session that could be taken up again would outlive what let it in.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  // Wanted where certificates are asked for and keys are taken, too.
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext);
  const std::string keys = directory + "/keys.psk";
  const bool has_keys = Exists(keys);
  const bool has_certificates = Exists(directory + "/server-cert.pem");
  if (!has_keys && !has_certificates) {
    return Status::Error(Code::kNotFound,
                         directory + " holds neither server-cert.pem nor keys.psk");
  }
  if (has_certificates) RETURN_IF_ERROR(loaded->LoadCertificates(directory));
  if (has_keys) RETURN_IF_ERROR(loaded->LoadKeys(keys));
  SSL_CTX_set_app_data(context, loaded.get());
  *credentials = std::move(loaded);
  return Status::Ok();
}

Credentials::~Credentials() { SSL_CTX_free(context_); }

SSL* Credentials::NewServer() const {
  SSL* ssl = SSL_new(context_);
  if (ssl != nullptr) SSL_set_accept_state(ssl);
  return ssl;
}

Status Credentials::LoadCertificates(const std::string& directory) {
  const std::string certificate = directory + "/server-cert.pem";
  const std::string key = directory + "/server-key.pem";
  const std::string authority = directory + "/ca-cert.pem";
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) != 1) {
    return Invalid(certificate, "holds no certificate that can be used");
  }
  UniqueFd key_fd;
  size_t key_bytes = 0;
  RETURN_IF_ERROR(OpenPrivate(key, &key_fd, &key_bytes));
  if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Invalid(key, "holds no key of server-cert.pem");
  }
  if (SSL_CTX_load_verify_locations(context_, authority.c_str(), nullptr) != 1) {
    return Invalid(authority, "holds no certificate that can be used");
  }
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return Status::Ok();
}

Status Credentials::LoadKeys(const std::string& path) {
  UniqueFd fd;
  size_t length_bytes = 0;
  RETURN_IF_ERROR(OpenPrivate(path, &fd, &length_bytes));
  if (length_bytes == 0 || length_bytes > kMaxKeysBytes) {
    return Invalid(path, "is empty or longer than 4096 bytes");
  }
  std::shared_ptr<Secret> text;
  RETURN_IF_ERROR(Secret::Allocate(length_bytes, &text));
  RETURN_IF_ERROR(ReadWhole(fd.get(), 0, text->bytes(), "read " + path));
  char* const begin = reinterpret_cast<char*>(text->bytes().data());
  size_t line = 1;
  for (size_t first = 0; first < length_bytes; ++line) {
    const void* newline = std::memchr(begin + first, '\n', length_bytes - first);
    const size_t end = newline == nullptr
                           ? length_bytes
                           : static_cast<size_t>(static_cast<const char*>(newline) - begin);
    RETURN_IF_ERROR(TakeKeyLine(path, line, begin + first, end - first));
    first = end + 1;
  }
  if (keys_.empty()) return Invalid(path, "holds no key");
  // OpenSSL chooses the cipher first, and then takes only keys of its hash.
  SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_psk_find_session_callback(context_, FindSession);
  return Status::Ok();
}

Status Credentials::TakeKeyLine(const std::string& path, size_t line, char* text, size_t length) {
  if (length == 0 || text[0] == '#') return Status::Ok();
  const std::string where = "line " + std::to_string(line);
  const void* colon = std::memchr(text, ':', length);
  if (colon == nullptr || colon == text) return Invalid(path, "has no name and key in " + where);
  const size_t name_length = static_cast<size_t>(static_cast<const char*>(colon) - text);
  const size_t digits = length - name_length - 1;
  if (digits % 2 != 0 || digits / 2 < kMinKeyBytes || digits / 2 > SSL_MAX_MASTER_KEY_LENGTH) {
    return Invalid(path, "has a key in " + where + " that is not 32 to 96 hexadecimal digits");
  }
  std::shared_ptr<Secret> key;
  RETURN_IF_ERROR(Secret::Allocate(digits / 2, &key));
  for (size_t i = 0; i < digits / 2; ++i) {
    const char* pair = text + name_length + 1 + 2 * i;
    const int high = HexDigit(pair[0]);
    const int low = HexDigit(pair[1]);
    if (high < 0 || low < 0) return Invalid(path, "has a key in " + where + " that is no number");
    key->bytes()[i] = static_cast<std::byte>(high * 16 + low);
  }
  keys_[std::string(text, name_length)] = std::move(key);
  return Status::Ok();
}

// Without a session the handshake goes on as if no key had been offered, and fails where there is
// no certificate either. 0 is for errors of ours.
int Credentials::FindSession(SSL* ssl, const unsigned char* name, size_t name_length,
                             SSL_SESSION** session) {
  const auto* self = static_cast<const Credentials*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  *session = nullptr;
  const auto known =
      self->keys_.find(std::string(reinterpret_cast<const char*>(name), name_length));
  if (known == self->keys_.end()) return 1;
  SSL_SESSION* found = SSL_SESSION_new();
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kAes128GcmSha256);
  const std::span<const std::byte> key = known->second->bytes();
  const bool is_made =
      found != nullptr && cipher != nullptr &&
      SSL_SESSION_set1_master_key(found, reinterpret_cast<const unsigned char*>(key.data()),
                                  key.size()) == 1 &&
      SSL_SESSION_set_cipher(found, cipher) == 1 &&
      SSL_SESSION_set_protocol_version(found, TLS1_3_VERSION) == 1;
  if (!is_made) {
    SSL_SESSION_free(found);
    return 0;
  }
  *session = found;
  return 1;
}

}  // namespace keyvol::tls
