// SPDX-License-Identifier: Apache-2.0

package audit

import "strings"

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// tested are the names for which the kernel has a self-test (crypto/testmgr.c,
// alg_test_descs, of 6.1 and 6.12): others are registered without one.
var tested = set(`adiantum(xchacha12,aes) adiantum(xchacha20,aes) aegis128 ansi_cprng
	authenc(hmac(md5),ecb(cipher_null)) authenc(hmac(sha1),cbc(aes)) authenc(hmac(sha1),cbc(des))
	authenc(hmac(sha1),cbc(des3_ede)) authenc(hmac(sha1),ctr(aes)) authenc(hmac(sha1),ecb(cipher_null))
	authenc(hmac(sha1),rfc3686(ctr(aes))) authenc(hmac(sha224),cbc(des))
	authenc(hmac(sha224),cbc(des3_ede)) authenc(hmac(sha256),cbc(aes)) authenc(hmac(sha256),cbc(des))
	authenc(hmac(sha256),cbc(des3_ede)) authenc(hmac(sha256),ctr(aes))
	authenc(hmac(sha256),rfc3686(ctr(aes))) authenc(hmac(sha384),cbc(des))
	authenc(hmac(sha384),cbc(des3_ede)) authenc(hmac(sha384),ctr(aes))
	authenc(hmac(sha384),rfc3686(ctr(aes))) authenc(hmac(sha512),cbc(aes))
	authenc(hmac(sha512),cbc(des)) authenc(hmac(sha512),cbc(des3_ede)) authenc(hmac(sha512),ctr(aes))
	authenc(hmac(sha512),rfc3686(ctr(aes))) blake2b-160 blake2b-256 blake2b-384 blake2b-512 cbc(aes)
	cbc(anubis) cbc(aria) cbc(blowfish) cbc(camellia) cbc(cast5) cbc(cast6) cbc(des) cbc(des3_ede)
	cbc(paes) cbc(psm4) cbc(serpent) cbc(sm4) cbc(twofish) cbc-paes-s390 cbcmac(aes) cbcmac(sm4)
	ccm(aes) ccm(sm4) cfb(aes) cfb(aria) cfb(sm4) chacha20 cmac(aes) cmac(camellia) cmac(des3_ede)
	cmac(sm4) compress_null crc32 crc32c crc64-rocksoft crct10dif ctr(aes) ctr(aria) ctr(blowfish)
	ctr(camellia) ctr(cast5) ctr(cast6) ctr(des) ctr(des3_ede) ctr(paes) ctr(psm4) ctr(serpent)
	ctr(sm4) ctr(twofish) ctr-paes-s390 cts(cbc(aes)) cts(cbc(paes)) cts(cbc(sm4)) curve25519 deflate
	deflate-iaa dh digest_null drbg_nopr_ctr_aes128 drbg_nopr_ctr_aes192 drbg_nopr_ctr_aes256
	drbg_nopr_hmac_sha1 drbg_nopr_hmac_sha256 drbg_nopr_hmac_sha384 drbg_nopr_hmac_sha512
	drbg_nopr_sha1 drbg_nopr_sha256 drbg_nopr_sha384 drbg_nopr_sha512 drbg_pr_ctr_aes128
	drbg_pr_ctr_aes192 drbg_pr_ctr_aes256 drbg_pr_hmac_sha1 drbg_pr_hmac_sha256 drbg_pr_hmac_sha384
	drbg_pr_hmac_sha512 drbg_pr_sha1 drbg_pr_sha256 drbg_pr_sha384 drbg_pr_sha512 ecb(aes) ecb(anubis)
	ecb(arc4) ecb(aria) ecb(blowfish) ecb(camellia) ecb(cast5) ecb(cast6) ecb(cipher_null) ecb(des)
	ecb(des3_ede) ecb(fcrypt) ecb(khazad) ecb(paes) ecb(seed) ecb(serpent) ecb(sm4) ecb(tea)
	ecb(twofish) ecb(xeta) ecb(xtea) ecb-paes-s390 ecdh-nist-p192 ecdh-nist-p256 ecdh-nist-p384
	ecdsa-nist-p192 ecdsa-nist-p256 ecdsa-nist-p384 ecdsa-nist-p521 ecrdsa
	essiv(authenc(hmac(sha256),cbc(aes)),sha256) essiv(cbc(aes),sha256) ffdhe2048(dh) ffdhe3072(dh)
	ffdhe4096(dh) ffdhe6144(dh) ffdhe8192(dh) gcm(aes) gcm(aria) gcm(sm4) ghash hctr2(aes) hmac(md5)
	hmac(rmd160) hmac(sha1) hmac(sha224) hmac(sha256) hmac(sha3-224) hmac(sha3-256) hmac(sha3-384)
	hmac(sha3-512) hmac(sha384) hmac(sha512) hmac(sm3) hmac(streebog256) hmac(streebog512)
	jitterentropy_rng kw(aes) lrw(aes) lrw(camellia) lrw(cast6) lrw(serpent) lrw(twofish) lz4 lz4hc lzo
	lzo-rle md4 md5 michael_mic nhpoly1305 ofb(aes) ofb(paes) ofb(sm4) pcbc(fcrypt)
	pkcs1pad(rsa,sha224) pkcs1pad(rsa,sha256) pkcs1pad(rsa,sha3-256) pkcs1pad(rsa,sha3-384)
	pkcs1pad(rsa,sha3-512) pkcs1pad(rsa,sha384) pkcs1pad(rsa,sha512) poly1305 polyval rfc3686(ctr(aes))
	rfc3686(ctr(sm4)) rfc4106(gcm(aes)) rfc4309(ccm(aes)) rfc4543(gcm(aes)) rfc7539(chacha20,poly1305)
	rfc7539esp(chacha20,poly1305) rmd160 rsa sha1 sha224 sha256 sha3-224 sha3-256 sha3-384 sha3-512
	sha384 sha512 sm2 sm3 streebog256 streebog512 vmac64(aes) wp256 wp384 wp512 xcbc(aes) xcbc(sm4)
	xchacha12 xchacha20 xctr(aes) xts(aes) xts(camellia) xts(cast6) xts(paes) xts(serpent) xts(sm4)
	xts(twofish) xts-paes-s390 xts4096(paes) xts512(paes) xxhash64 zlib-deflate zstd`)
