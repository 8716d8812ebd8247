// Who a TLS server is, and whom it lets in.
#ifndef KEYVOL_TRANSPORT_TLS_CREDENTIALS_H_
#define KEYVOL_TRANSPORT_TLS_CREDENTIALS_H_

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>

#include "secret/secret.h"

namespace keyvol::tls {

// Of one directory, with the names that QEMU and nbdkit use: server-cert.pem, server-key.pem and
// ca-cert.pem, which must have signed the certificates of clients; or keys.psk with lines
// "name:hexadecimal key"; or both. TLS 1.3 only; nobody gets in without a certificate or a key.
class Credentials {
 public:
  // kNotFound when the directory holds neither, kKeyFileInvalid for what cannot be used or is
  // readable by others.
  static Status Load(const std::string& directory, std::shared_ptr<const Credentials>* credentials);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // A new server's side of a connection. Null when there is no memory for it.
  SSL* NewServer() const;

 private:
  explicit Credentials(SSL_CTX* context) : context_(context) {}
  Status LoadCertificates(const std::string& directory);
  Status LoadKeys(const std::string& path);
  Status TakeKeyLine(const std::string& path, size_t line, char* text, size_t length);
  static int FindSession(SSL* ssl, const unsigned char* name, size_t name_length,
                         SSL_SESSION** session);

  SSL_CTX* const context_;
  std::map<std::string, std::shared_ptr<Secret>> keys_;  // by name
};

}  // namespace keyvol::tls

#endif  // KEYVOL_TRANSPORT_TLS_CREDENTIALS_H_
